package org.prunepeft.run;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.prunepeft.data.Dataset;
import org.prunepeft.data.TaskKind;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.model.Models;
import org.prunepeft.model.Precision;
import org.prunepeft.model.Projection;
import org.prunepeft.model.Quantization;
import org.prunepeft.peft.ModuleType;
import org.prunepeft.search.Candidate;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.TokenLoss;
import org.prunepeft.train.OptimizerType;
import org.prunepeft.train.TrainingSettings;

/**
 * What the memory of a training depends on.
 *
 * @param model whose layers are computed
 * @param precision of its weights and of what goes from operation to operation
 * @param quantization of the layers' linears
 * @param languageModel whether the loss is that of next tokens
 * @param full whether the model's own weights are trained
 * @param parameters of the modules that are trained
 * @param copies of the trained weights, with gradients and the optimiser's moments
 * @param inserted elements a token that the modules of a layer keep, of the model's type
 * @param ranks of the low-rank updates and adapters of a layer together
 * @param partial elements that the kernels sum a module's gradients in, of some rows, at most
 * @param times rows of a batch for each text of it: both of a pair, all trainings that are made
 *     together
 * @param rows of a batch, in all
 * @param length of a row in tokens
 * @param packed whether rows are as long as that; else they are at most
 * @param checkpointing whether of a layer its input alone is kept
 * @param dense whether the linears stay there as they are read, beside the kernels' forms
 * @param threads of the kernels
 */
@RecordBuilder
record TrainingShape(
    EncoderConfig model,
    Precision precision,
    Quantization quantization,
    boolean languageModel,
    boolean full,
    long parameters,
    int copies,
    long inserted,
    long ranks,
    long partial,
    long times,
    long rows,
    long length,
    boolean packed,
    boolean checkpointing,
    boolean dense,
    int threads)
    implements TrainingShapeBuilder.With {
  /** Measured: what a layer frees is too small for some of what the next one takes. */
  private static final double GAPS = 1.12;

  /** Rows whose gradients the kernels sum by themselves go in so many parts at most. */
  private static final long CHUNKS = 16;

  /** The kernels' attention takes so many rows of queries at a time. */
  private static final long BLOCK_ROWS = 48;

  /** Columns, and keys, that the kernels' attention computes with are a multiple. */
  private static final long VECTOR = 16;

  /** With fewer heads of keys in a batch, each head of queries sums gradients of keys by itself. */
  private static final long FEW_KEY_HEADS = 8;

  /** A rank that the kernels compute with is a multiple. */
  private static final long RANK_STEP = 16;

  /** Values, gradients, and the best epoch's copy. */
  private static final int COPIES = 3;

  /**
   * {@return that of a run}
   *
   * @param times how many rows a batch has for each that the settings name
   * @param shared whether several trainings share the model
   */
  static TrainingShape of(
      Setup setup,
      EncoderConfig model,
      Demand demand,
      Dataset dataset,
      long times,
      boolean shared) {
    TrainingSettings training = setup.training();
    boolean languageModel = dataset.schema().kind() == TaskKind.LANGUAGE_MODELING;
    List<ModuleType.Parameter> ofLayer = ofLayer(setup, model, demand);
    int moments = training.optimizer() == OptimizerType.ADAMW ? 2 : 0;
    return new TrainingShape(
        model,
        setup.precision(),
        setup.quantization() == Quantization.AUTO
            ? Models.storedQuantization(setup.model())
            : setup.quantization(),
        languageModel,
        demand.full(),
        Candidate.total(demand.modules()),
        COPIES + moments + (demand.judged() ? 2 : 0),
        inserted(setup, model, ofLayer),
        ranks(ofLayer),
        partial(ofLayer),
        times,
        times * Math.min(training.batchSize(), dataset.train().size()),
        training.maxLength(),
        languageModel && training.packing(),
        training.gradientCheckpointing(),
        // DoRA reads them in each step, and what one run frees another may be reading.
        shared || setup.lora() != null && setup.lora().dora(),
        setup.threads());
  }

  /** The tensors of a layer's modules. */
  private static List<ModuleType.Parameter> ofLayer(
      Setup setup, EncoderConfig model, Demand demand) {
    return demand.modules().isEmpty()
        ? List.of()
        : setup.peft().types().stream()
            .flatMap(type -> type.parameters(model, 0).stream())
            .toList();
  }

  /** A low-rank update or a bottleneck has two matrices, and between them its rank. */
  private static long ranks(List<ModuleType.Parameter> parameters) {
    return parameters.stream()
            .filter(parameter -> parameter.shape().length == 2)
            .mapToLong(parameter -> Math.min(parameter.shape()[0], parameter.shape()[1]))
            .sum()
        / 2;
  }

  /** Of the largest matrix; both of an adapter are summed at once. */
  private static long partial(List<ModuleType.Parameter> parameters) {
    return parameters.stream()
        .filter(parameter -> parameter.shape().length == 2)
        .mapToLong(
            parameter -> {
              long least = Math.min(parameter.shape()[0], parameter.shape()[1]);
              long most = Math.max(parameter.shape()[0], parameter.shape()[1]);
              return most
                  * ((least + RANK_STEP - 1) / RANK_STEP * RANK_STEP)
                  * (parameter.name().endsWith(".adapter_up.weight") ? 2 : 1);
            })
        .max()
        .orElse(0);
  }

  /** A linear on which something sits keeps its input; an adapter does so too. */
  private static long inserted(
      Setup setup, EncoderConfig model, List<ModuleType.Parameter> parameters) {
    Set<String> inputs = new HashSet<>();
    long elements = 0;
    for (Projection projection : model.projections()) {
      String path = model.path(0, projection) + ".";
      if (parameters.stream().noneMatch(parameter -> parameter.name().startsWith(path))) {
        continue;
      }
      String input =
          switch (projection) {
            case QUERY, KEY, VALUE -> "attention";
            case INTERMEDIATE, GATE -> "feed-forward";
            case ATTENTION_OUTPUT, OUTPUT -> projection.name();
          };
      // What goes into an encoder's layer is there anyway.
      if (inputs.add(input) && !(model.decoder() == null && input.equals("attention"))) {
        elements += model.inputs(projection);
      }
      elements += setup.lora() != null && setup.lora().dora() ? model.outputs(projection) : 0;
    }
    long adapters =
        parameters.stream().filter(one -> one.name().endsWith(".adapter_up.weight")).count();
    return elements + adapters * model.hidden();
  }

  /** Bytes of a value of the model's type. */
  private long width() {
    return precision == Precision.BF16 ? Short.BYTES : Float.BYTES;
  }

  private long outputs(Projection... projections) {
    long outputs = 0;
    for (Projection projection : projections) {
      outputs += model.outputs(projection);
    }
    return outputs;
  }

  /** Elements of all linears of all layers. */
  private long linears() {
    long elements = 0;
    for (Projection projection : model.projections()) {
      elements += (long) model.outputs(projection) * model.inputs(projection);
    }
    return elements * model.layers();
  }

  /** Elements of what is looked up by token, and of a language model's output layer. */
  private long tables() {
    long vocabulary = model.vocabulary();
    if (model.decoder() != null) {
      return vocabulary * model.hidden() * (model.decoder().tied() ? 1 : 2);
    }
    return (vocabulary + model.positions() + model.types()) * model.embedding();
  }

  /** An encoder's tables are float32 in each precision. */
  long weights() {
    long tables = tables() * (model.decoder() == null ? Float.BYTES : width());
    return tables + (full || dense ? unpacked() : 0);
  }

  /** Linears that are freed at the preparation's end, when the kernels have their forms. */
  long freed() {
    return full || dense ? 0 : unpacked();
  }

  /** Linears as they are read; those that are quantised meanwhile are never there so. */
  private long unpacked() {
    return quantization.isForced() ? 0 : linears() * width();
  }

  /** The kernels' form of the linears for each direction; those that are trained have none. */
  long prepared() {
    if (quantization.isForced()) {
      return Math.round(linears() * quantization.preparedBytes());
    }
    return full ? 0 : 2 * linears() * width();
  }

  /** What the layers keep of a batch until its backward pass. */
  long activations() {
    long tokens = rows * length;
    long kept =
        // With the layer that is computed again.
        checkpointing
            ? model.layers() * (long) model.hidden() * width() + layer()
            : model.layers() * layer();
    return Math.round(tokens * kept * GAPS);
  }

  /** Bytes a token that a layer keeps: what its operations' backward passes read. */
  private long layer() {
    long hidden = model.hidden();
    long all = outputs(Projection.QUERY, Projection.KEY, Projection.VALUE);
    long floats = model.heads() + 4L + ranks;
    long narrow;
    if (model.decoder() == null) {
      // Two sums, of which one is normalised into what goes on.
      narrow = all + 3 * hidden + model.intermediate();
      // DeBERTa's scores, by token and by place.
      floats += model.relative() == null ? 0 : 8L * model.heads() * length;
    } else {
      narrow = all + 2 * hidden + 2L * model.intermediate();
      narrow += model.decoder().queryKeyNorms() ? all : 0;
      narrow += model.decoder().postNorms() ? 2 * hidden : 0;
    }
    return (narrow + inserted) * width() + floats * Float.BYTES;
  }

  /** The most that the loss or a layer's backward pass has for itself. */
  long work() {
    long tokens = rows * length;
    long backward =
        tokens * width() * (3L * model.intermediate() + 3L * model.hidden()) + scratch();
    if (!languageModel) {
      return backward;
    }
    // The loss has its gradient ready, which goes through the layers once it is scaled.
    backward += 2 * tokens * model.hidden() * width();
    // Which become their own gradient.
    long logits = Math.min(TokenLoss.KERNEL_LOGITS, tokens * model.vocabulary() * width());
    if (full) {
      // The output weight's gradient, and a scaled one.
      logits += 2L * model.vocabulary() * model.hidden() * Float.BYTES;
    }
    long loss = logits + 2 * tokens * model.hidden() * width();
    // Measured: what the loss frees is of no use to a layer that is computed again.
    return checkpointing ? loss + backward : Math.max(backward, loss);
  }

  /** The kernels' own memory, one block for all calls; what it has grown beyond them, none uses. */
  private long scratch() {
    return Math.max(CHUNKS * partial * Float.BYTES, attention());
  }

  /**
   * What the backward pass of attention has beside its operands, by thread: a head's keys and
   * values, their gradients, and a block of scores.
   */
  long attention() {
    if (model.relative() != null) {
      return 0;
    }
    long heads = model.heads();
    long keyHeads = model.decoder() == null ? heads : model.decoder().keyValueHeads();
    long columns =
        padded(model.decoder() == null ? model.hidden() / heads : model.decoder().headSize());
    long keys = padded(length);
    long parts = rows * keyHeads < FEW_KEY_HEADS ? heads / keyHeads : 1;
    long items = rows * keyHeads * parts;
    long thread =
        keys + (parts > 1 ? 3 : 5) * keys * columns + BLOCK_ROWS * (4 * keys + 3 * columns);
    long gradients = parts > 1 ? 2 * items * keys * columns : 0;
    return (Math.min(threads, items) * thread + gradients) * Float.BYTES;
  }

  private static long padded(long count) {
    return (count + VECTOR - 1) / VECTOR * VECTOR;
  }

  /** Trained weights, their gradients, the optimiser's moments and the best epoch's copy. */
  long trained() {
    long own = full ? linears() + tables() : 0;
    return (parameters + own) * copies * Float.BYTES;
  }
}
