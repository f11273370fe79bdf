package org.prunepeft.generate.decoding;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.batch.Tokenizer;
import org.prunepeft.generate.Generation;
import org.prunepeft.generate.GenerationListener;
import org.prunepeft.generate.GenerationSettings;
import org.prunepeft.generate.PromptTooLongException;
import org.prunepeft.model.Decoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.model.FiniteWatch;
import org.prunepeft.model.Insertions;
import org.prunepeft.model.KeyValueCache;
import org.prunepeft.torch.TokenLoss;
import org.prunepeft.torch.Torch;

/**
 * Lets a decoder go on with texts: prompts as one batch, padded on the left, then a token of each
 * at a time, with the keys and values of those before kept. Not for two threads at once.
 */
public final class Generator {
  private final Decoder decoder;
  private final Tokenizer tokenizer;
  private final Insertions insertions;

  /** The model's output layer. */
  private final TokenLoss output;

  /**
   * @param decoder stays the caller's
   * @param tokenizer of as many tokens as the model takes; stays the caller's
   * @param insertions what sits in the model, without dropout
   */
  public Generator(Decoder decoder, Tokenizer tokenizer, Insertions insertions) {
    this.decoder = decoder;
    this.tokenizer = tokenizer;
    this.insertions = insertions;
    output = new TokenLoss(decoder.outputWeight(), decoder.logitCap());
  }

  /**
   * What the decoder writes after prompts, in their order.
   *
   * @param prompts one or more
   * @param listener reads along
   * @throws PromptTooLongException if a prompt leaves the model no room
   * @throws IllegalArgumentException if a prompt has no token
   */
  public List<Generation> generate(
      List<String> prompts, GenerationSettings settings, GenerationListener listener) {
    List<int[]> ids = new ArrayList<>();
    for (String prompt : prompts) {
      ids.add(encoded(prompt, settings.addSpecialTokens()));
    }
    int longest = ids.stream().mapToInt(row -> row.length).max().orElseThrow();
    Set<Integer> stopTokens = stopTokens(settings);
    List<PromptRow> rows = new ArrayList<>();
    for (int i = 0; i < ids.size(); i++) {
      rows.add(new PromptRow(i, ids.get(i), settings, stopTokens, listener));
    }
    int most = rows.stream().mapToInt(row -> row.most).max().orElseThrow();
    int whole = rows.stream().mapToInt(PromptRow::tokensAtMost).max().orElseThrow();
    // The last token is not looked at again.
    try (KeyValueCache cache =
        new KeyValueCache(decoder, rows.size(), longest + most - 1, whole - 1)) {
      int[] tokens = prompt(ids, longest, cache, rows);
      while (!rows.stream().allMatch(PromptRow::ended)) {
        tokens = next(tokens, cache, rows);
      }
    }
    return rows.stream().map(PromptRow::generation).toList();
  }

  /** Special tokens at which the settings stop it: no text has them. */
  private Set<Integer> stopTokens(GenerationSettings settings) {
    Set<Integer> tokens = new HashSet<>();
    for (String stop : settings.stop()) {
      tokenizer.leadingSpecialToken(stop.strip()).ifPresent(tokens::add);
    }
    return tokens;
  }

  private int[] encoded(String prompt, boolean addSpecialTokens) {
    Tokenizer.Tokens tokens = tokenizer.tokens(prompt, addSpecialTokens);
    int most = decoder.config().maxTokens();
    if (tokens.cut() || tokens.ids().length >= most) {
      throw new PromptTooLongException(
          "a prompt has %s tokens, and the model takes %d with what follows; shorten it"
              .formatted(tokens.cut() ? "more than " + most : tokens.ids().length, most));
    }
    if (tokens.ids().length == 0) {
      throw new IllegalArgumentException(
          "a prompt has no token to continue; the tokenizer adds none before a text, so write"
              + " one");
    }
    return tokens.ids();
  }

  /** The first new token of each row. */
  private int[] prompt(
      List<int[]> prompts, int longest, KeyValueCache cache, List<PromptRow> rows) {
    long[] ids = new long[prompts.size() * longest];
    byte[] mask = new byte[ids.length];
    int[] starts = new int[ids.length];
    long[] last = new long[prompts.size()];
    for (int row = 0; row < prompts.size(); row++) {
      int[] own = prompts.get(row);
      int padding = longest - own.length;
      for (int i = 0; i < longest; i++) {
        int at = row * longest + i;
        starts[at] = padding;
        if (i >= padding) {
          ids[at] = own[i - padding];
          mask[at] = 1;
        }
      }
      last[row] = (row + 1L) * longest - 1;
    }
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      EncoderInput input = input(ids, mask, prompts.size(), longest);
      Tensor hidden = decoder.next(input.startingAt(starts, longest), cache, insertions);
      return choose(hidden.index_select(0, decoder.device().longs(last, last.length)), rows);
    }
  }

  /** The next token of each row, after the last one. */
  private int[] next(int[] tokens, KeyValueCache cache, List<PromptRow> rows) {
    byte[] mask = new byte[tokens.length];
    Arrays.fill(mask, (byte) 1);
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      long[] ids = Arrays.stream(tokens).asLongStream().toArray();
      return choose(decoder.next(input(ids, mask, tokens.length, 1), cache, insertions), rows);
    }
  }

  private EncoderInput input(long[] ids, byte[] mask, int rows, int length) {
    return EncoderInput.of(decoder.device(), ids, new long[ids.length], mask, rows, length);
  }

  /**
   * @param hidden [rows, hidden]
   */
  private int[] choose(Tensor hidden, List<PromptRow> rows) {
    float[] logits = Torch.toFloats(output.logits(hidden));
    int vocabulary = logits.length / rows.size();
    int[] tokens = new int[rows.size()];
    for (int i = 0; i < tokens.length; i++) {
      float[] own = Arrays.copyOfRange(logits, i * vocabulary, (i + 1) * vocabulary);
      tokens[i] = rows.get(i).next(own);
    }
    return tokens;
  }

  /**
   * Where the numbers of a text cease to be finite.
   *
   * @param ids its tokens
   */
  private String firstNonFinite(int[] ids) {
    byte[] mask = new byte[ids.length];
    Arrays.fill(mask, (byte) 1);
    try (NoGradGuard guard = new NoGradGuard();
        PointerScope scope = new PointerScope()) {
      return FiniteWatch.described(
          FiniteWatch.first(
              decoder,
              input(Arrays.stream(ids).asLongStream().toArray(), mask, 1, ids.length),
              insertions,
              hidden -> output.logits(hidden.narrow(0, ids.length - 1L, 1)),
              "the output layer"));
    }
  }

  /** One prompt's text. */
  private final class PromptRow {
    private final int number;
    private final int promptTokens;

    /** The prompt and what was written behind it. */
    private final int[] ids;

    private final Sampler sampler;
    private final Set<Integer> stopTokens;
    private final TextStream stream;

    /** New tokens for which there are room and leave. */
    private final int most;

    /** Null: it goes on. */
    private Generation.End end;

    private int tokens;

    PromptRow(
        int number,
        int[] prompt,
        GenerationSettings settings,
        Set<Integer> stopTokens,
        GenerationListener listener) {
      this.stopTokens = stopTokens;
      this.number = number;
      promptTokens = prompt.length;
      sampler = new Sampler(settings, number);
      most = Math.min(settings.maxNewTokens(), decoder.config().maxTokens() - prompt.length);
      ids = Arrays.copyOf(prompt, tokensAtMost());
      stream =
          new TextStream(
              tokenizer::decode, prompt, settings.stop(), piece -> listener.written(number, piece));
    }

    int tokensAtMost() {
      return promptTokens + most;
    }

    /** Chooses a token, unless the text has ended; then any will do. */
    int next(float[] logits) {
      if (ended()) {
        return 0;
      }
      requireNumbers(logits);
      int id = sampler.next(logits);
      ids[promptTokens + tokens++] = id;
      if (decoder.config().decoder().endTokens().contains(id)) {
        end(Generation.End.END_OF_TEXT);
      } else if (stopTokens.contains(id) || stream.add(id)) {
        end(Generation.End.STOP);
      } else if (tokens == most) {
        end(Generation.End.LENGTH);
      }
      return id;
    }

    private void requireNumbers(float[] logits) {
      for (int id = 0; id < logits.length; id++) {
        if (!Float.isFinite(logits[id])) {
          throw new IllegalStateException(
              "prompt %d, new token %d: the logit of token %d is %s: %s; what was trained has diverged, or a weight is damaged"
                  .formatted(
                      number,
                      tokens + 1,
                      id,
                      logits[id],
                      firstNonFinite(Arrays.copyOf(ids, promptTokens + tokens))));
        }
      }
    }

    /** What is left may have a text at which it stops. */
    private void end(Generation.End reason) {
      stream.end();
      end = stream.stopped() ? Generation.End.STOP : reason;
    }

    boolean ended() {
      return end != null;
    }

    Generation generation() {
      return new Generation(stream.end(), tokens, end);
    }
  }
}
