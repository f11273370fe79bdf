package org.prunepeft.examples;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.concurrent.Executors;
import org.prunepeft.TrainedModel;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.train.Prediction;

/** A web server: a text is posted to /predict, and its label and probability come back. */
public final class PredictionServer {
  public static void main(String[] arguments) throws IOException {
    TrainedModel model =
        TrainedModel.load(Path.of(arguments[0]), LoadSettings.DEFAULT.withThreads(1));
    start(model, Integer.parseInt(arguments[1]));
  }

  static HttpServer start(TrainedModel model, int port) throws IOException {
    HttpServer server = HttpServer.create(new InetSocketAddress("localhost", port), 0);
    server.createContext("/predict", exchange -> answer(model, exchange));
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.start();
    return server;
  }

  private static void answer(TrainedModel model, HttpExchange exchange) throws IOException {
    byte[] text = exchange.getRequestBody().readAllBytes();
    try {
      Prediction prediction = model.predict(new String(text, StandardCharsets.UTF_8));
      send(exchange, 200, prediction.label() + "\t" + prediction.probability());
    } catch (IllegalArgumentException e) {
      send(exchange, 400, e.getMessage());
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
