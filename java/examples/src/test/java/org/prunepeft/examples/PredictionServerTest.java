package org.prunepeft.examples;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.PrunePeft;
import org.prunepeft.TrainedModel;
import org.prunepeft.data.DataException;
import org.prunepeft.data.Example;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.report.ProgressListener;
import org.prunepeft.settings.LoadSettings;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.Setup;
import org.prunepeft.train.Prediction;

class PredictionServerTest {
  private static final int CLIENTS = 8;

  @TempDir static Path temporary;
  private static Path run;

  @BeforeAll
  static void train() {
    run = temporary.resolve("run");
    Setup setup = Setup.builder().sizes(new SplitSizes(64, 32, 64)).epochs(1).output(run).build();
    PrunePeft.train(setup, ModuleChoice.supernet(), ProgressListener.NONE);
  }

  private static String post(HttpServer server, int status, String text) throws IOException {
    URL url = new URL("http", "localhost", server.getAddress().getPort(), "/predict");
    HttpURLConnection connection = (HttpURLConnection) url.openConnection();
    connection.setDoOutput(true);
    connection.getOutputStream().write(text.getBytes(StandardCharsets.UTF_8));
    assertEquals(status, connection.getResponseCode());
    try (InputStream body =
        status == 200 ? connection.getInputStream() : connection.getErrorStream()) {
      return new String(body.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  @Test
  void eightClientsGetWhatOneThreadPredicts() throws Exception {
    Map<String, String> expected;
    try (TrainedModel model = TrainedModel.load(run, LoadSettings.DEFAULT.withThreads(1))) {
      expected =
          model.dataset().test().stream()
              .map(Example::text)
              .distinct()
              .collect(Collectors.toMap(text -> text, text -> line(model.predict(text))));
    }
    ExecutorService clients = Executors.newFixedThreadPool(CLIENTS);
    try (TrainedModel model = TrainedModel.load(run, LoadSettings.DEFAULT.withThreads(1))) {
      HttpServer server = PredictionServer.start(model, 0);
      List<Future<Integer>> all = new ArrayList<>();
      for (int i = 0; i < CLIENTS; i++) {
        List<String> texts = new ArrayList<>(expected.keySet());
        Collections.rotate(texts, i * texts.size() / CLIENTS);
        all.add(
            clients.submit(
                () -> {
                  for (String text : texts) {
                    assertEquals(expected.get(text), post(server, 200, text));
                  }
                  return texts.size();
                }));
      }
      for (Future<Integer> client : all) {
        assertEquals(expected.size(), client.get());
      }
      assertTrue(post(server, 400, " ").startsWith("the text must have words"));
      server.stop(0);
    } finally {
      clients.shutdownNow();
    }
  }

  @Test
  void failuresHaveTheirStatus() throws IOException {
    Map<Integer, RuntimeException> failures =
        Map.of(
            400, new IllegalArgumentException("blank"),
            422, new DataException("too long"),
            500, new IllegalStateException("of the server alone"));
    for (Map.Entry<Integer, RuntimeException> failure : failures.entrySet()) {
      HttpServer server =
          PredictionServer.start(
              text -> {
                throw failure.getValue();
              },
              0);
      int status = failure.getKey();
      String said = status == 500 ? "the text was not predicted" : failure.getValue().getMessage();
      assertEquals(said + "\n", post(server, status, "a boat"));
      server.stop(0);
    }
  }

  @Test
  void aTextThatIsTooLongIsRefusedAsItIsRead() throws IOException {
    HttpServer server = PredictionServer.start(text -> "" + text.length(), 0);
    int most = PredictionServer.MOST_BYTES;
    assertEquals(most + "\n", post(server, 200, "a".repeat(most)));
    assertEquals(
        "a text has at most 1000000 bytes; send a shorter one\n",
        post(server, 413, "a".repeat(most + 1)));
    server.stop(0);
  }

  private static String line(Prediction prediction) {
    return prediction.label() + "\t" + prediction.probability() + "\n";
  }
}
