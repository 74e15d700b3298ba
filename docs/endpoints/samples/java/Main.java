// An endpoint in Java, with the JDK only: it writes down who created a Pod. The JDK has no JSON: use Jackson for more.
import com.sun.net.httpserver.HttpServer;
import java.net.*;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;
import static java.nio.charset.StandardCharsets.UTF_8;

public class Main {
    public static void main(String[] args) throws Exception {
        var unsafe = Pattern.compile("[\\x00-\\x1f\"\\\\]"); // in a string of JSON
        var server = HttpServer.create(new InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
        server.setExecutor(Executors.newCachedThreadPool()); // without it, one request at a time
        server.createContext("/", exchange -> {
            var body = new String(exchange.getRequestBody().readAllBytes(), UTF_8).strip();
            var user = exchange.getRequestHeaders().getFirst("ce-authid");
            var name = user == null ? "" : URLDecoder.decode(user.replace("+", "%2B"), UTF_8);
            var pod = exchange.getRequestMethod().equals("POST") && body.startsWith("{") && body.endsWith("}");
            var answer = !pod ? "{\"error\":\"want a POST of a Pod\"}"
                : body.contains("\"example.com/created-by\":") ? "[]"
                : "[{\"op\":\"add\",\"path\":\"/metadata/annotations/example.com~1created-by\",\"value\":\""
                    + unsafe.matcher(name).replaceAll(c -> String.format("\\\\u%04x", (int) c.group().charAt(0))) + "\"}]";
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            var bytes = answer.getBytes(UTF_8);
            exchange.sendResponseHeaders(pod ? 200 : 400, bytes.length);
            try (var out = exchange.getResponseBody()) { out.write(bytes); }
        });
        server.start();
    }
}
