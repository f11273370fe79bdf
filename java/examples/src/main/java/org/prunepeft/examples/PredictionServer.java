package org.prunepeft.examples;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.Executors;
import java.util.function.UnaryOperator;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.DataException;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.train.Prediction;

/** A web server: a text is posted to /predict, and its label and probability come back. */
public final class PredictionServer {
  private static final System.Logger LOG = System.getLogger(PredictionServer.class.getName());

  /** Far more than a model reads of a text. */
  static final int MOST_BYTES = 1_000_000;

  public static void main(String[] arguments) throws IOException {
    TrainedModel model =
        TrainedModel.load(Path.of(arguments[0]), LoadSettings.DEFAULT.withThreads(1));
    HttpServer server = start(model, Integer.parseInt(arguments[1]));
    // Ctrl-C and SIGTERM: calls that go on are answered, and native memory is freed.
    Runtime.getRuntime()
        .addShutdownHook(
            new Thread(
                () -> {
                  server.stop(1);
                  model.close();
                }));
  }

  static HttpServer start(TrainedModel model, int port) throws IOException {
    return start(
        text -> {
          Prediction prediction = model.predict(text);
          return prediction.label() + "\t" + prediction.probability();
        },
        port);
  }

  static HttpServer start(UnaryOperator<String> predictor, int port) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("localhost", port), 0);
    server.createContext("/predict", exchange -> answer(predictor, exchange));
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.start();
    return server;
  }

  private static void answer(UnaryOperator<String> predictor, HttpExchange exchange)
      throws IOException {
    byte[] text = exchange.getRequestBody().readNBytes(MOST_BYTES + 1);
    if (text.length > MOST_BYTES) {
      send(exchange, 413, "a text has at most %d bytes; send a shorter one".formatted(MOST_BYTES));
      return;
    }
    try {
      send(exchange, 200, predictor.apply(new String(text, StandardCharsets.UTF_8)));
    } catch (IllegalArgumentException e) {
      // Such as a blank text.
      send(exchange, 400, e.getMessage());
    } catch (DataException e) {
      // Such as one that is too long, or has a part that the tokenizer has no token for.
      send(exchange, 422, e.getMessage());
    } catch (RuntimeException e) {
      // Not the client's: what is wrong is for the log.
      LOG.log(System.Logger.Level.ERROR, "a text was not predicted", e);
      send(exchange, 500, "the text was not predicted");
    }
  }

  private static void send(HttpExchange exchange, int status, String text) throws IOException {
    byte[] bytes = (text + "\n").getBytes(StandardCharsets.UTF_8);
    exchange.sendResponseHeaders(status, bytes.length);
    try (OutputStream body = exchange.getResponseBody()) {
      body.write(bytes);
    }
  }
}
