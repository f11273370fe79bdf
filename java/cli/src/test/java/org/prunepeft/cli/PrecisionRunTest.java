package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.prunepeft.TrainedModel;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.model.Precision;
import org.prunepeft.train.Evaluation;

/** A whole search in bfloat16, and what it left behind. */
class PrecisionRunTest {
  @TempDir Path temporary;

  @Test
  void aSearchInBfloat16IsEvaluatedInIt() throws IOException {
    assumeTrue(MiniLmJar.find().isPresent(), "MiniLM's jar is not on the class path");
    Path run = temporary.resolve("run");
    Call.of(
            "search",
            "--precision=bf16",
            "--strategy=authors",
            "--train-examples=64",
            "--validation-examples=32",
            "--test-examples=32",
            "--round-examples=32",
            "--epochs=1",
            "--max-seq-length=32",
            "--threads=2",
            "--output=" + run)
        .exits(0);
    assertTrue(Files.readString(run.resolve("config.json")).contains("\"precision\" : \"bf16\""));
    @SuppressWarnings("unchecked")
    Map<String, Object> test =
        (Map<String, Object>) RunDirectory.open(run).readJson("result.json").get("test");
    try (TrainedModel model = TrainedModel.load(run)) {
      assertEquals(Precision.BF16, model.setup().precision());
      Evaluation again = model.evaluate(model.dataset().test());
      assertEquals(((Number) test.get("loss")).doubleValue(), again.loss());
    }
  }

  @Test
  void otherPrecisionsAreRefused() {
    Call call = Call.of("train", "--precision=fp8").exits(2);
    assertTrue(
        call.err().contains("'fp8'") && call.err().contains("one of float32, bf16"), call.err());
  }
}
