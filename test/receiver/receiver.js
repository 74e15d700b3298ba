// An event sink made with the CloudEvents SDK for JavaScript, which shares no code with amp. It first prints the
// port that it listens on. Then it prints one line of JSON for each request: the event as the SDK read it, or why
// the SDK did not accept it.
const http = require("http");
const { HTTP } = require("cloudevents");

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");

// By the HTTP binding (1.0.2, 3.1.3.2), a receiver undoes the percent-encoding of header values. The SDK leaves that
// to its caller.
const decoded = (headers) =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, name.startsWith("ce-") ? decodeURIComponent(value) : value]));

const accept = (headers, body) => {
  const event = HTTP.toEvent({ headers, body });
  if (Array.isArray(event)) throw new Error("a batch");
  event.validate(); // throws
  return event;
};

const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks).toString("utf8");
    try {
      accept(request.headers, body); // the SDK must also accept it without decoding
      say({ event: accept(decoded(request.headers), body) });
      response.writeHead(202).end();
    } catch (error) {
      say({ refused: String(error), errors: error.errors, headers: request.headers, body });
      response.writeHead(400).end();
    }
  });
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
