// An endpoint in JavaScript (Node.js, no packages): it writes down who created a Pod.
import { createServer } from 'node:http';

const KEY = 'example.com/created-by';
const pointer = (key) => key.replaceAll('~', '~0').replaceAll('/', '~1');

createServer(async (req, res) => {
  const answer = (status, value) => {
    res.writeHead(status, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify(value));
  };
  try {
    if (req.method !== 'POST') return answer(405, { error: 'want a POST of a Pod' });
    const chunks = [];
    for await (const chunk of req) chunks.push(chunk);
    const pod = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    if (pod.metadata.annotations?.[KEY] !== undefined) return answer(200, []);
    const user = decodeURIComponent(req.headers['ce-authid'] ?? '');
    answer(200, [{ op: 'add', path: `/metadata/annotations/${pointer(KEY)}`, value: user }]);
  } catch (error) {
    answer(400, { error: 'want a Pod as JSON' });
  }
}).listen(process.env.PORT);
