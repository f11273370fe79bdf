package org.prunepeft.run;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Quantization;
import org.prunepeft.torch.HostMemory;
import org.prunepeft.torch.HostMemoryException;

/**
 * What a training on the CPU takes of memory, predicted from shapes; bytes.
 *
 * @param packed whether rows are as long as predicted; else they may be shorter
 * @param process the virtual machine with its heap, and the libraries
 * @param weights of the model
 * @param freed weights that are there until the training begins, before activations and what
 *     follows
 * @param prepared the forms in which the kernels read the linears
 * @param activations what the layers keep of a batch until its backward pass
 * @param work what the loss or a layer's backward pass has for itself
 * @param trained trained weights, gradients, the optimiser's moments, the best epoch's copy
 */
record MemoryPlan(
    boolean packed,
    long process,
    long weights,
    long freed,
    long prepared,
    long activations,
    long work,
    long trained) {
  /** Measured: a run of a model of a few kilobytes. */
  private static final long PROCESS = 320L << 20;

  /** A plan is refused if it exceeds what there is by more than it may be wrong. */
  private static final double TOLERANCE = 1.15;

  /** Tokens of a short text. */
  private static final int SHORT = 16;

  private static final double GIGABYTE = 1 << 30;

  static MemoryPlan of(TrainingShape shape) {
    return new MemoryPlan(
        shape.packed(),
        PROCESS,
        shape.weights(),
        shape.freed(),
        shape.prepared(),
        shape.activations(),
        shape.work(),
        shape.trained());
  }

  long total() {
    return process + weights + prepared + Math.max(freed, activations + work + trained);
  }

  /** In a line: memory: about 3.2 GB: process 0.4, weights 0.5, ... */
  String text() {
    return "memory: %s %s GB: %s".formatted(about(packed), gigabytes(total()), parts());
  }

  private static String about(boolean packed) {
    return packed ? "about" : "at most";
  }

  private String parts() {
    return "process %s, weights %s, packed weights %s, activations %s, loss and gradients of a layer %s, trained weights and optimiser %s; until the training begins unpacked weights %s"
        .formatted(
            gigabytes(process),
            gigabytes(weights),
            gigabytes(prepared),
            gigabytes(activations),
            gigabytes(work),
            gigabytes(trained),
            gigabytes(freed));
  }

  static String gigabytes(long bytes) {
    return String.format(Locale.ROOT, "%.2f", bytes / GIGABYTE);
  }

  /** The same with what this machine has; nothing is refused where nobody tells. */
  static Optional<String> requireFits(TrainingShape shape) {
    OptionalLong limit = new HostMemory().limit();
    return limit.isPresent() ? requireFits(shape, limit.getAsLong()) : Optional.empty();
  }

  /**
   * Refuses what does not fit: of rows that may be shorter, what short ones exceed.
   *
   * @param available bytes
   * @return a warning with what takes less, if full rows may exceed it; else empty
   * @throws HostMemoryException if the prediction exceeds it clearly; names what takes less
   */
  static Optional<String> requireFits(TrainingShape shape, long available) {
    TrainingShape least =
        shape.packed() ? shape : shape.withLength(Math.min(SHORT, shape.length()));
    MemoryPlan plan = of(least);
    if (plan.total() > TOLERANCE * available) {
      throw new HostMemoryException(
          "the training takes about %s GB of memory%s, and there are %s GB (%s); %s"
              .formatted(
                  gigabytes(plan.total()),
                  least.packed()
                      ? ""
                      : String.format(Locale.ROOT, " with texts of %d tokens", least.length()),
                  gigabytes(available),
                  plan.parts(),
                  remedies(least, available, true)));
    }
    long most = of(shape).total();
    if (most <= available) {
      return Optional.empty();
    }
    return Optional.of(
        "the training may take more memory than there is: %s %s GB of %s GB; %s"
            .formatted(
                about(shape.packed()),
                gigabytes(most),
                gigabytes(available),
                remedies(shape, available, shape.packed())));
  }

  /**
   * Options that take less, each with how much; what they take together where none is enough.
   *
   * @param exact whether rows are as long as the shape says; else at most
   */
  private static String remedies(TrainingShape shape, long available, boolean exact) {
    Map<String, TrainingShape> lesser = new LinkedHashMap<>();
    TrainingShape least = shape;
    if (!shape.checkpointing()) {
      least = least.withCheckpointing(true);
      lesser.put("--gradient-checkpointing", shape.withCheckpointing(true));
    }
    if (shape.rows() > shape.times()) {
      long texts = fitting(shape, available);
      long rows = texts * shape.times();
      least = least.withRows(rows);
      lesser.put(
          String.format(
              Locale.ROOT,
              "--batch-size %d with %d times the --gradient-accumulation-steps",
              texts,
              shape.rows() / rows),
          shape.withRows(rows));
    }
    // The length of short texts is none that an option sets.
    if (exact == shape.packed() && shape.length() > 8) {
      long half = Math.max(8, shape.length() / 2);
      least = least.withLength(half);
      lesser.put("--max-seq-length " + half, shape.withLength(half));
    }
    if (shape.precision() == Precision.FLOAT32 && !shape.full()) {
      least = least.withPrecision(Precision.BF16);
      lesser.put("--precision bf16", shape.withPrecision(Precision.BF16));
    }
    if (!shape.quantization().isForced() && !shape.full()) {
      least = least.withQuantization(Quantization.NF4);
      lesser.put("--quantize nf4", shape.withQuantization(Quantization.NF4));
    }
    String most = exact ? "" : "at most ";
    List<String> texts = new ArrayList<>();
    lesser.forEach(
        (option, changed) ->
            texts.add("%s takes %s%s GB".formatted(option, most, gigabytes(of(changed).total()))));
    boolean enough = lesser.values().stream().anyMatch(one -> of(one).total() <= available);
    if (!enough && texts.size() > 1) {
      texts.add("all of these together take %s%s GB".formatted(most, gigabytes(of(least).total())));
    }
    if (of(least).total() > available) {
      texts.add(texts.isEmpty() ? "take a smaller model" : "or take a smaller model");
    }
    return String.join(", ", texts);
  }

  /**
   * A smaller --batch-size that fits and divides the present one, so that steps stay as they are; 1
   * if none does.
   */
  private static long fitting(TrainingShape shape, long available) {
    long texts = shape.rows() / shape.times();
    for (long parts = 2; parts < texts; parts++) {
      if (texts % parts == 0
          && of(shape.withRows(texts / parts * shape.times())).total() <= available) {
        return texts / parts;
      }
    }
    return 1;
  }

  /**
   * For a run's files.
   *
   * @param peak what was measured in the end; empty where it can't be
   */
  Map<String, Long> toMap(OptionalLong peak) {
    Map<String, Long> parts = new LinkedHashMap<>();
    parts.put("predicted_bytes", total());
    peak.ifPresent(bytes -> parts.put("peak_bytes", bytes));
    parts.put("process_bytes", process);
    parts.put("weights_bytes", weights);
    parts.put("freed_weights_bytes", freed);
    parts.put("packed_weights_bytes", prepared);
    parts.put("activations_bytes", activations);
    parts.put("work_bytes", work);
    parts.put("trained_bytes", trained);
    return parts;
  }

  /** What a run on a GPU took, in a line of a summary. */
  static String gpuText(long peak) {
    return "memory: peak of tensors on the GPU %s GB\n".formatted(gigabytes(peak));
  }

  /** The same in a line of a summary. */
  String text(OptionalLong peak) {
    return "memory: predicted %s%s GB%s\n"
        .formatted(
            packed ? "" : about(false) + " ",
            gigabytes(total()),
            peak.isPresent() ? ", peak of the process " + gigabytes(peak.getAsLong()) + " GB" : "");
  }
}
