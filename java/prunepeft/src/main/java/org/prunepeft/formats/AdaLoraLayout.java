package org.prunepeft.formats;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.prunepeft.io.FormatException;
import org.prunepeft.io.SafeTensors.Tensor;
import org.prunepeft.peft.AdaLoraConfig;
import org.prunepeft.peft.AdapterPart;
import org.prunepeft.peft.AdapterPart.LowRank;

/**
 * AdaLoRA's part of PEFT's files. Tensors hold the singular values that are left; rank_pattern
 * holds, by the name of each lora_E, which of the init_r they are.
 */
final class AdaLoraLayout {
  static final String A = ".lora_A";
  private static final String E = ".lora_E";
  private static final String B = ".lora_B";

  /** So many rows an update becomes, whatever is stored of it. */
  private static final int MOST_RANKS = 10_000;

  private final String origin;
  private final AdaLoraConfig config;
  private final double alpha;
  private final double dropout;
  private final Map<?, ?> pattern;

  AdaLoraLayout(Fields fields) {
    AdaLoraConfig absent = AdaLoraConfig.DEFAULT;
    origin = fields.origin();
    config =
        new AdaLoraConfig(
            fields.integer("init_r", absent.initR()),
            fields.integer("target_r", absent.targetR()),
            fields.integer("tinit", absent.tinit()),
            fields.integer("tfinal", absent.tfinal()),
            fields.integer("deltaT", absent.deltaT()),
            fields.number("beta1", absent.beta1()),
            fields.number("beta2", absent.beta2()),
            fields.number("orth_reg_weight", absent.orthRegWeight()),
            fields.integer("total_step", absent.totalStep()));
    alpha = fields.number("lora_alpha", 8);
    dropout = fields.number("lora_dropout", 0);
    pattern = fields.map("rank_pattern");
    // PEFT's AdaLoRA passes them over.
    fields.ignore("r", "alpha_pattern").require("use_dora", false).require("use_rslora", false);
  }

  /** Adds the fields of PEFT's AdaLoraConfig to those of its LoraConfig. */
  static void describe(Map<String, Object> fields, List<LowRank> updates) {
    AdaLoraConfig config = updates.get(0).singular().config();
    Map<String, Object> pattern = new TreeMap<>();
    for (LowRank update : updates) {
      pattern.put(update.path() + E, kept(update));
    }
    fields.put("peft_type", "ADALORA");
    fields.put("init_r", config.initR());
    fields.put("target_r", config.targetR());
    fields.put("tinit", config.tinit());
    fields.put("tfinal", config.tfinal());
    fields.put("deltaT", config.deltaT());
    fields.put("beta1", config.beta1());
    fields.put("beta2", config.beta2());
    fields.put("orth_reg_weight", config.orthRegWeight());
    fields.put("total_step", totalStep(config));
    fields.put("rank_pattern", pattern);
  }

  /**
   * PEFT reads no AdaLoRA without a positive total_step that leaves a step between tinit and
   * tfinal. An imported one may have had none; the least that is allowed stands for it.
   */
  private static long totalStep(AdaLoraConfig config) {
    return config.totalStep() > 0
        ? config.totalStep()
        : (long) config.tinit() + config.tfinal() + 1;
  }

  private static List<Boolean> kept(LowRank update) {
    List<Boolean> kept = new ArrayList<>();
    for (float value : update.singular().values().values()) {
      kept.add(value != 0);
    }
    return kept;
  }

  static void put(Map<String, Tensor> tensors, String key, LowRank update) {
    int[] places = places(kept(update));
    tensors.put(key + A, rows(update.a(), places));
    tensors.put(key + E, rows(update.singular().values(), places));
    tensors.put(key + B, columns(update.b(), places));
  }

  private static int[] places(List<?> kept) {
    return IntStream.range(0, kept.size()).filter(i -> Boolean.TRUE.equals(kept.get(i))).toArray();
  }

  private static Tensor rows(Tensor whole, int[] places) {
    int width = (int) whole.shape()[1];
    float[] values = new float[places.length * width];
    for (int i = 0; i < places.length; i++) {
      System.arraycopy(whole.values(), places[i] * width, values, i * width, width);
    }
    return new Tensor(new long[] {places.length, width}, values);
  }

  private static Tensor columns(Tensor whole, int[] places) {
    int height = (int) whole.shape()[0];
    int width = (int) whole.shape()[1];
    float[] values = new float[height * places.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = whole.values()[i / places.length * width + places[i % places.length]];
    }
    return new Tensor(new long[] {height, places.length}, values);
  }

  /**
   * Reads an update. It has all of its init_r rows again, those that are not stored as zeros, which
   * add nothing, so that it computes in the order in which it was trained.
   */
  LowRank update(StoredTensors tensors, String module, StoredLinear linear) throws FormatException {
    int inputs = linear.inputs();
    int outputs = linear.outputs();
    String key = PeftFormat.ROOT + module;
    // Without a pattern the tensor says how many ranks there are, before anything takes their room.
    Tensor whole = pattern.isEmpty() ? tensors.take(key + A, -1, inputs) : null;
    int[] places = places(whole != null ? all(module, whole.shape()[0]) : kept(module));
    Tensor a = whole != null ? whole : tensors.take(key + A, places.length, inputs);
    return new LowRank(
        linear.layer(),
        linear.path(),
        spreadRows(a, places),
        spreadColumns(tensors.take(key + B, outputs, places.length), places),
        alpha,
        false,
        dropout,
        null,
        new AdapterPart.SingularValues(
            spreadRows(tensors.take(key + E, places.length, 1), places), config));
  }

  private List<?> all(String module, long stored) throws FormatException {
    if (stored != config.initR()) {
      throw new FormatException(
          "%s: init_r is %d without a rank_pattern, but %s has %d ranks"
              .formatted(origin, config.initR(), module, stored));
    }
    return Collections.nCopies(config.initR(), true);
  }

  /** Which of the init_r ranks are stored. */
  private List<?> kept(String module) throws FormatException {
    if (config.initR() > MOST_RANKS) {
      throw new FormatException(
          "%s: init_r must be at most %d with a rank_pattern, got %d"
              .formatted(origin, MOST_RANKS, config.initR()));
    }
    Object found = pattern.get(module + E);
    if (found instanceof List<?> kept
        && kept.size() == config.initR()
        && kept.stream().allMatch(Boolean.class::isInstance)) {
      return kept;
    }
    throw new FormatException(
        "%s: rank_pattern must hold a list of %d (init_r) times true or false for %s, got %s"
            .formatted(origin, config.initR(), module + E, found));
  }

  private Tensor spreadRows(Tensor stored, int[] places) {
    int width = (int) stored.shape()[1];
    float[] values = new float[config.initR() * width];
    for (int i = 0; i < places.length; i++) {
      System.arraycopy(stored.values(), i * width, values, places[i] * width, width);
    }
    return new Tensor(new long[] {config.initR(), width}, values);
  }

  private Tensor spreadColumns(Tensor stored, int[] places) {
    int height = (int) stored.shape()[0];
    float[] values = new float[height * config.initR()];
    for (int i = 0; i < stored.values().length; i++) {
      values[i / places.length * config.initR() + places[i % places.length]] = stored.values()[i];
    }
    return new Tensor(new long[] {height, config.initR()}, values);
  }
}
