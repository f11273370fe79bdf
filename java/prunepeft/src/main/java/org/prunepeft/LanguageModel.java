package org.prunepeft;

import java.util.List;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.TextGenerator;
import org.prunepeft.generate.decoding.Generator;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.Models;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * A pre-trained language model as it is, without a run: writes texts after prompts. One thread may
 * call it at a time. The owner closes it, which frees native memory.
 */
public final class LanguageModel implements TextGenerator {
  private final Decoder decoder;
  private final Tokenizer tokenizer;
  private final Tape tape = new Tape();

  private LanguageModel(Decoder decoder, Tokenizer tokenizer) {
    this.decoder = decoder;
    this.tokenizer = tokenizer;
  }

  /**
   * Loads a model, and sets the process's threads.
   *
   * @param model its name or directory
   * @param threads of all native pools of the process, 1 or more
   * @param device where it is computed: cpu, cuda, cuda:N or auto
   * @param precision of its weights and activations
   * @return the model, the caller's to close
   * @throws IllegalArgumentException if it is not known, or is no decoder
   */
  public static LanguageModel load(String model, int threads, String device, Precision precision) {
    return load(model, threads, device, precision, Quantization.AUTO);
  }

  /**
   * Loads a model quantised, and sets the process's threads.
   *
   * @param model its name or directory
   * @param threads of all native pools of the process, 1 or more
   * @param device where it is computed: cpu, cuda, cuda:N or auto
   * @param precision of its other weights and of activations
   * @param quantization of its layers' linears
   * @return the model, the caller's to close
   * @throws IllegalArgumentException if it is not known, or is no decoder
   */
  public static LanguageModel load(
      String model, int threads, String device, Precision precision, Quantization quantization) {
    Torch.setThreads(threads);
    Models.LoadedModel loaded =
        Models.byName(model).loader().load(precision, quantization, ComputeDevice.parse(device));
    try {
      if (loaded.encoder() instanceof Decoder decoder) {
        return new LanguageModel(decoder, prompter(loaded));
      }
      throw new IllegalArgumentException(
          "%s is an encoder, which writes no texts; take a decoder, such as a Llama"
              .formatted(model));
    } catch (RuntimeException | Error e) {
      loaded.encoder().close();
      throw e;
    }
  }

  /** A tokenizer of prompts, as long as the model takes; the caller's to close. */
  static Tokenizer prompter(Models.LoadedModel loaded) {
    return Tokenizer.decoding(loaded.tokenizer(), loaded.encoder().config().maxTokens());
  }

  /** What a decoder with modules in it writes. */
  static List<Generation> generate(
      Decoder decoder,
      Tokenizer tokenizer,
      Insertions modules,
      List<String> prompts,
      GenerationSettings settings,
      GenerationListener listener) {
    return new Generator(decoder, tokenizer, modules).generate(prompts, settings, listener);
  }

  @Override
  public List<Generation> generate(
      List<String> prompts, GenerationSettings settings, GenerationListener listener) {
    return generate(decoder, tokenizer, Insertions.none(tape), prompts, settings, listener);
  }

  @Override
  public void close() {
    tokenizer.close();
    tape.close();
    decoder.close();
  }
}
