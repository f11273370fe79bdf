package org.prunepeft;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.data.chat.ChatFormat;
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
import org.prunepeft.run.Interruption;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.ComputeDevice;
import org.prunepeft.torch.LibraryLoading;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;

/**
 * A pre-trained language model as it is, without a run: writes texts after prompts, and answers in
 * conversations. One thread may call it at a time. The owner closes it, which frees native memory;
 * a later call that computes is an {@link IllegalStateException}.
 */
public final class LanguageModel implements TextGenerator {
  private final String name;
  private final Decoder decoder;
  private final Tokenizer tokenizer;
  private final Tape tape = new Tape();

  /** While a listener may be told. */
  private boolean writing;

  private boolean closed;

  private LanguageModel(String name, Decoder decoder, Tokenizer tokenizer) {
    this.name = name;
    this.decoder = decoder;
    this.tokenizer = tokenizer;
  }

  /**
   * Loads a model as {@link Setup#DEFAULT} has it, on the CPU in float32, and sets the process's
   * threads to all processors.
   *
   * @param model its name or directory
   * @return the model, the caller's to close
   * @throws IllegalArgumentException if it is not known, or is no decoder
   */
  public static LanguageModel load(String model) {
    Setup setup = Setup.DEFAULT;
    return load(model, setup.threads(), setup.device(), setup.precision(), setup.quantization());
  }

  /**
   * Loads a model, and sets the process's threads.
   *
   * @param model its name or directory
   * @param threads of all native pools of the process, 1 or more
   * @param device where it is computed: cpu, cuda, cuda:N or auto
   * @param precision of its weights and activations
   * @param quantization of its layers' linears; {@link Quantization#AUTO}: as they are stored
   * @return the model, the caller's to close
   * @throws IllegalArgumentException if it is not known, or is no decoder
   */
  public static LanguageModel load(
      String model, int threads, String device, Precision precision, Quantization quantization) {
    return Interruption.cancelling(() -> loaded(model, threads, device, precision, quantization));
  }

  private static LanguageModel loaded(
      String model, int threads, String device, Precision precision, Quantization quantization) {
    LibraryLoading.load();
    Torch.setThreads(threads);
    Models.LoadedModel loaded =
        Models.byName(model).loader().load(precision, quantization, ComputeDevice.parse(device));
    try {
      if (loaded.encoder() instanceof Decoder decoder) {
        return new LanguageModel(model, decoder, prompter(loaded));
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
    requireGiven(prompts, settings, listener);
    requireNotWriting();
    requireOpen();
    if (prompts.isEmpty()) {
      return List.of();
    }
    writing = true;
    try {
      return generate(decoder, tokenizer, Insertions.none(tape), prompts, settings, listener);
    } finally {
      writing = false;
    }
  }

  /** Refuses what is null, by its name. */
  static void requireGiven(
      List<String> prompts, GenerationSettings settings, GenerationListener listener) {
    Objects.requireNonNull(prompts, "the prompts must not be null");
    for (int i = 0; i < prompts.size(); i++) {
      int index = i;
      Objects.requireNonNull(prompts.get(i), () -> "prompt " + index + " must not be null");
    }
    Objects.requireNonNull(settings, "the settings must not be null");
    Objects.requireNonNull(
        listener, "the listener must not be null; GenerationListener.NONE does nothing");
  }

  private void requireNotWriting() {
    if (writing) {
      throw new IllegalStateException(
          "a listener calls the model that it listens to; note what was heard, and call the model"
              + " when it has returned");
    }
  }

  /** For how many tokens there are positions behind a prompt. */
  static int room(Tokenizer tokenizer, String prompt, boolean addSpecialTokens) {
    Tokenizer.Tokens tokens = tokenizer.tokens(prompt, addSpecialTokens);
    return tokens.cut() ? 0 : tokenizer.maxLength() - tokens.ids().length;
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the model %s is closed; load it again".formatted(name));
    }
  }

  @Override
  public int room(String prompt, boolean addSpecialTokens) {
    requireOpen();
    return room(tokenizer, prompt, addSpecialTokens);
  }

  /** The chat format of a model, by its name or directory. */
  static ChatFormat chatFormat(String model, Path template) {
    return ChatFormat.of(Models.directory(model).orElse(Path.of(model)), template);
  }

  @Override
  public ChatFormat chatFormat(Path template) {
    return chatFormat(name, template);
  }

  /**
   * Frees its memory. Twice is no more than once.
   *
   * @throws IllegalStateException if a listener calls it while it is told
   */
  @Override
  public void close() {
    requireNotWriting();
    if (closed) {
      return;
    }
    closed = true;
    tokenizer.close();
    tape.close();
    decoder.close();
  }
}
