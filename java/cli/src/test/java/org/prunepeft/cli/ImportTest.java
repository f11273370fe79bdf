package org.prunepeft.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.IntStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.prunepeft.TrainedModel;
import org.prunepeft.io.SafeTensors;
import org.prunepeft.model.Models;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Pretrained;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.train.Evaluation;

/** Trainings on a small RoBERTa, exported and read back. */
class ImportTest {
  @TempDir static Path temporary;
  private static Path model;
  private static Path texts;

  @BeforeAll
  static void write() throws IOException {
    model = Small.fixedModel(temporary);
    texts = temporary.resolve("texts.tsv");
    Files.write(
        texts,
        IntStream.range(-1, 160)
            .mapToObj(i -> i < 0 ? "text\tlabel" : "the thing %d\t%d".formatted(i, i % 3))
            .toList());
  }

  private static Path train(String name, String... options) {
    return train(model, "--train-file=" + texts, name, options);
  }

  private static Path train(Path model, String data, String name, String... options) {
    Path output = temporary.resolve(name);
    Call.of(
            "train",
            "--model=" + model,
            data,
            "--modules=random",
            "--keep=0.7",
            "--train-examples=32",
            "--validation-examples=16",
            "--test-examples=64",
            "--epochs=1",
            "--max-seq-length=32",
            "--learning-rate=0.02",
            "--threads=2",
            "--output=" + output,
            options)
        .exits(0);
    return output;
  }

  private static Evaluation evaluate(Path run) {
    try (TrainedModel trained = TrainedModel.load(run)) {
      return trained.evaluate(trained.dataset().test());
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "peft | --adapter-size=0 --lora-r=4 --lora-alpha=12",
        "peft | --adapter-size=0 --lora-r=3 --use-dora --use-rslora --module-per-projection"
            + " --target-modules=query,attention.output.dense,output.dense",
        "peft | --adapter-size=0 --use-adalora --init-r=6 --target-r=2 --batch-size=8",
        "peft | --adapter-size=0 --lora-r=0 --module-types=vera"
            + " --module-settings=vera.rank=6,vera.targets=query,output.dense,vera.seed=3",
        "adapters | --adapter-size=7 --lora-r=4",
        "adapters | --adapter-size=0 --lora-r=3 --module-per-projection"
            + " --target-modules=query,value,output.dense",
        "adapters | --adapter-size=8 --lora-r=3 --use-rslora --adapter-config=houlsby"
            + " --adapter-non-linearity=swish",
        "adapters | --adapter-size=5 --lora-r=0 --adapter-config=parallel"
      })
  void anExportReadBackEvaluatesToTheLastDigit(String format, String options) throws IOException {
    String name = format + options.hashCode();
    // Numbers are written and read, so that other weights may show more.
    Path drawn = Small.model(Files.createTempDirectory(temporary, "drawn"));
    Path run = train(drawn, "--train-file=" + texts, name, options.split(" "));
    Path adapter = temporary.resolve(name + "-adapter");
    Call.of("export", run, "--format=" + format, "--output=" + adapter).exits(0);
    Path imported = temporary.resolve(name + "-imported");
    Call.of("import", adapter, "--output=" + imported).exits(0);
    Evaluation expected = evaluate(run);
    Evaluation actual = evaluate(imported);
    assertEquals(expected.metrics(), actual.metrics());
    assertEquals(expected.loss(), actual.loss());
    assertEquals(
        Call.of("evaluate", run).exits(0).out(), Call.of("evaluate", imported).exits(0).out());
    // And again: what was imported exports the same.
    Path again = temporary.resolve(name + "-again");
    Call.of("export", imported, "--format=" + format, "--output=" + again).exits(0);
    for (String file :
        format.equals("peft")
            ? List.of("adapter_config.json", "adapter_model.safetensors")
            : List.of(
                "adapter_config.json",
                "adapter.safetensors",
                "head_config.json",
                "model_head.safetensors")) {
      assertEquals(-1, Files.mismatch(adapter.resolve(file), again.resolve(file)), file);
    }
  }

  /** The weights are read, since a DoRA's magnitudes go by them. */
  @Test
  void aModelThatChangesWhileItIsReadIsRefused() throws IOException {
    Path run = train("of-changing", "--adapter-size=0", "--lora-r=3", "--use-dora");
    Path adapter = temporary.resolve("of-changing-adapter");
    Call.of("export", run, "--format=peft", "--output=" + adapter).exits(0);
    Path weights = model.resolve("model.safetensors");
    String said = weights + " changed while it was read; run again once it no longer changes";
    registerChanging("changing-import", weights);
    Path imported = temporary.resolve("of-changing-imported");
    Call.of("import", adapter, "--model=changing-import", "--output=" + imported).exits(1, said);
    assertTrue(Files.notExists(imported));
    registerChanging("changing-export", weights);
    Path again = temporary.resolve("of-changing-again");
    Call.of("export", run, "--format=peft", "--model=changing-export", "--output=" + again)
        .exits(1, said);
    assertTrue(Files.notExists(again));
  }

  /** The model of which a file is written once its parts have been opened for the first time. */
  private static void registerChanging(String name, Path file) {
    AtomicBoolean changed = new AtomicBoolean();
    Models.Loader loader =
        new Models.Loader() {
          @Override
          public Models.LoadedModel load(Precision precision, ComputeDevice device) {
            throw new IllegalStateException("nothing is computed");
          }

          @Override
          public Pretrained open() throws IOException {
            Pretrained parts = Models.byName(model.toString()).loader().open();
            if (changed.compareAndSet(false, true)) {
              Files.write(file, Files.readAllBytes(file));
            }
            return parts;
          }
        };
    Models.register(new Models.KnownModel(name, "changes", "this test", "none", loader));
  }

  @Test
  void filesThatSayTooLittleAreRefusedWithTheOptionThatSaysIt() throws IOException {
    Path run = train(model, "--task=wordnet", "little", "--adapter-size=0", "--lora-r=2");
    Path adapter = temporary.resolve("little-adapter");
    Call.of("export", run, "--format=peft", "--output=" + adapter).exits(0);
    Files.delete(adapter.resolve("prunepeft.json"));
    Path never = temporary.resolve("never");
    List<Object> arguments = List.of("import", adapter, "--output=" + never);
    assertTrue(Call.of(arguments).exits(2).err().contains("say --mean-pooled"));
    assertTrue(Call.of(arguments, "--mean-pooled").exits(2).err().contains("name one with --task"));
    Path config = adapter.resolve("adapter_config.json");
    String text = Files.readString(config);
    assertTrue(text.contains("\"" + model + "\""), text);
    Files.writeString(config, text.replace("\"" + model + "\"", "\"\""));
    assertTrue(
        Call.of(arguments, "--mean-pooled", "--task=wordnet")
            .exits(2)
            .err()
            .contains("does not say what model it is for; name one or its directory with --model"));
    Files.writeString(config, text);
    assertFalse(Files.exists(never));
    Call.of(arguments, "--mean-pooled", "--task=wordnet", "--max-seq-length=32").exits(0);
    Call.of("evaluate", never.toString()).exits(0).prints("2,000 examples");
    assertTrue(
        Call.of("import", temporary, "--output=" + never)
            .exits(2)
            .err()
            .contains("is no adapter directory"));
  }

  /** PEFT's all-linear targets it too, in front of a head that is not there. */
  @Test
  void aPoolerIsLeftOutWithAWord() throws IOException {
    Path run = train("pooler", "--adapter-size=0", "--lora-r=2");
    Path adapter = temporary.resolve("pooler-adapter");
    Call.of("export", run, "--format=peft", "--output=" + adapter).exits(0);
    Path file = adapter.resolve("adapter_model.safetensors");
    Map<String, SafeTensors.Tensor> tensors = new TreeMap<>();
    try (SafeTensors stored = SafeTensors.open(file)) {
      for (String name : stored.names()) {
        tensors.put(name, new SafeTensors.Tensor(stored.shape(name), stored.floats(name)));
      }
    }
    int hidden = RobertaDirectory.HIDDEN;
    String pooler = "base_model.model.pooler.dense.";
    float[] ones = new float[2 * hidden];
    Arrays.fill(ones, 1);
    tensors.put(pooler + "lora_A.weight", new SafeTensors.Tensor(new long[] {2, hidden}, ones));
    tensors.put(pooler + "lora_B.weight", new SafeTensors.Tensor(new long[] {hidden, 2}, ones));
    SafeTensors.write(file, tensors);
    Call.of("seal", adapter).exits(0); // it has the checksums of what was exported
    Path imported = temporary.resolve("pooler-imported");
    Call.of("import", adapter, "--output=" + imported)
        .exits(0)
        .says(adapter + ": pooler.dense is left out; the head looks at hidden states");
    assertEquals(evaluate(run).metrics(), evaluate(imported).metrics());
  }

  @Test
  void aSearchAmongAdaLoraUpdatesSharesRanksOutAmongThoseThatAreLeft() throws IOException {
    Path run = temporary.resolve("searched");
    Call.of(
            "search",
            "--model=" + model,
            "--use-adalora",
            "--init-r=4",
            "--target-r=2",
            "--tinit=1",
            "--tfinal=1",
            "--batch-size=8",
            "--module-per-projection",
            "--adapter-size=0",
            "--keep=0.5",
            "--strategy=authors",
            "--rounds=2",
            "--round-examples=32",
            "--train-file=" + texts,
            Small.examples(32),
            "--output=" + run)
        .exits(0);
    Path adapter = temporary.resolve("searched-adapter");
    Call.of("export", run, "--format=peft", "--output=" + adapter).exits(0);
    int updates = 0;
    long left = 0;
    try (SafeTensors tensors = SafeTensors.open(adapter.resolve("adapter_model.safetensors"))) {
      for (String key : tensors.names()) {
        if (key.endsWith(".lora_E")) {
          updates++;
          left += tensors.shape(key)[0];
        }
      }
    }
    // Half of query and value in four layers; the retraining's budget is two values each.
    assertEquals(4, updates);
    assertEquals(2 * updates, left);
    Path imported = temporary.resolve("searched-imported");
    Call.of("import", adapter, "--output=" + imported).exits(0);
    assertEquals(evaluate(run).metrics(), evaluate(imported).metrics());
  }
}
