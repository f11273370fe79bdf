package org.prunepeft;

import java.nio.file.Path;
import org.prunepeft.data.SplitSizes;
import org.prunepeft.peft.AdapterConfig;
import org.prunepeft.peft.LoraConfig;
import org.prunepeft.peft.PeftConfig;
import org.prunepeft.train.TrainingSettings;

/**
 * What a search and a plain training have in common.
 *
 * @param model a name in {@link org.prunepeft.model.Models}
 * @param task a name in {@link org.prunepeft.data.Tasks}
 * @param sizes examples for training, validation and test, 1 or more each
 * @param lora LoRA candidates; null: none
 * @param adapter adapter candidates; null: none
 * @param training how a training goes
 * @param epochs of the (re)training whose result is kept, 1 or more
 * @param seed of everything that is drawn
 * @param threads of all native pools, 1 or more
 * @param output the run directory to be made; null: nothing is written
 */
public record Setup(
    String model,
    String task,
    SplitSizes sizes,
    LoraConfig lora,
    AdapterConfig adapter,
    TrainingSettings training,
    int epochs,
    long seed,
    int threads,
    Path output) {
  /** MiniLM on WordNet supersenses, a LoRA module and an adapter in each layer. */
  public static final Setup DEFAULT =
      new Setup(
          "minilm",
          "wordnet",
          new SplitSizes(4000, 1000, 2000),
          LoraConfig.DEFAULT,
          AdapterConfig.DEFAULT,
          TrainingSettings.DEFAULT,
          8,
          0,
          Runtime.getRuntime().availableProcessors(),
          null);

  public Setup {
    if (lora == null && adapter == null) {
      throw new IllegalArgumentException("a supernet needs LoRA modules or adapters, got neither");
    }
    if (sizes.validation() < 1 || sizes.test() < 1) {
      throw new IllegalArgumentException(
          "validation and test need at least 1 example each, got "
              + sizes.validation()
              + " and "
              + sizes.test());
    }
    if (epochs < 1) {
      throw new IllegalArgumentException("epochs must be at least 1, got " + epochs);
    }
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be at least 1, got " + threads);
    }
  }

  PeftConfig peft() {
    return PeftConfig.of(lora, adapter);
  }

  public Setup withSeed(long value) {
    return new Setup(model, task, sizes, lora, adapter, training, epochs, value, threads, output);
  }

  public Setup withSizes(SplitSizes value) {
    return new Setup(model, task, value, lora, adapter, training, epochs, seed, threads, output);
  }

  public Setup withEpochs(int value) {
    return new Setup(model, task, sizes, lora, adapter, training, value, seed, threads, output);
  }

  public Setup withThreads(int value) {
    return new Setup(model, task, sizes, lora, adapter, training, epochs, seed, value, output);
  }

  public Setup withOutput(Path value) {
    return new Setup(model, task, sizes, lora, adapter, training, epochs, seed, threads, value);
  }
}
