package org.prunepeft.train.pass;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.IntStream;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.data.batch.Batch;
import org.prunepeft.data.batch.EncodedDataset;
import org.prunepeft.model.Encoder;
import org.prunepeft.model.EncoderInput;
import org.prunepeft.peft.ForwardPass;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.search.Candidate;
import org.prunepeft.torch.GpuMemory;
import org.prunepeft.torch.StateExchange;
import org.prunepeft.torch.Tape;
import org.prunepeft.torch.Torch;
import org.prunepeft.train.DivergedException;
import org.prunepeft.train.Predictions;
import org.prunepeft.train.head.TaskHead;

/**
 * What a supernet predicts with all but a subset of its modules switched off, for many subsets at
 * once. Subsets that agree up to a layer share the pass up to it: a batch goes through the layers
 * as through a tree, whose branches are the choices that occur.
 */
public final class SubsetPredictions implements BatchedWork, AutoCloseable {
  private final Encoder encoder;
  private final PeftModules modules;
  private final TaskHead head;
  private final Tape tape;
  private final List<List<Candidate>> subsets;
  private final List<Batch> left = new ArrayList<>();
  private final int[] all;

  /** By subset, those of all examples. */
  private final float[][] outputs;

  private int done;
  private int batches;

  /**
   * Predicts without dropout.
   *
   * @param modules the supernet; all of them are switched on again by {@link #close}
   * @param tape for the passes; stays the caller's
   * @param subsets modules of the supernet; may be empty ones
   * @param data targets are not looked at
   */
  public SubsetPredictions(
      Encoder encoder,
      PeftModules modules,
      TaskHead head,
      Tape tape,
      List<List<Candidate>> subsets,
      EncodedDataset data) {
    this.encoder = encoder;
    this.modules = modules;
    this.head = head;
    this.tape = tape;
    this.subsets = subsets;
    all = IntStream.range(0, subsets.size()).toArray();
    outputs = new float[all.length][Math.multiplyExact(data.size(), head.schema().outputs())];
    Inputs.batches(encoder.device(), data).forEach(left::add);
    modules.begin(ForwardPass.prediction(tape));
  }

  @Override
  public boolean next() {
    if (batches == left.size()) {
      return false;
    }
    Batch batch = left.get(batches++);
    GpuMemory.retrying(
        () -> {
          try (NoGradGuard guard = new NoGradGuard();
              PointerScope scope = new PointerScope()) {
            EncoderInput input = Inputs.of(encoder.device(), batch);
            new Walk(batch, input).from(0, encoder.embed(input), all);
            return null;
          }
        });
    done += batch.examples();
    return true;
  }

  /** How many examples are done. */
  public int done() {
    return done;
  }

  @Override
  public int batches() {
    return batches;
  }

  @Override
  public void exchange(StateExchange state) {
    batches = state.number("batches", batches);
    done = state.number("examples", done);
    for (int i = 0; i < outputs.length; i++) {
      outputs[i] = state.floats("outputs " + i, outputs[i]);
    }
  }

  /** In the order of the subsets, when all is done. */
  public List<Predictions> predictions() {
    List<Predictions> predictions = new ArrayList<>();
    for (float[] own : outputs) {
      predictions.add(new Predictions(head.schema(), own));
    }
    return predictions;
  }

  @Override
  public void close() {
    modules.activate(null);
  }

  /** One batch's way through the tree. */
  private final class Walk {
    private final Batch batch;
    private final EncoderInput input;

    Walk(Batch batch, EncoderInput input) {
      this.batch = batch;
      this.input = input;
    }

    /**
     * @param x what the layer takes in, the same for all of the group
     * @param group subsets that agree below the layer
     */
    void from(int layer, Tensor x, int[] group) {
      if (layer == encoder.config().layers()) {
        finish(x, group);
        return;
      }
      Map<Set<Candidate>, List<Integer>> branches = new LinkedHashMap<>();
      for (int i : group) {
        Set<Candidate> here = new HashSet<>();
        for (Candidate module : subsets.get(i)) {
          if (module.layer() == layer) {
            here.add(module);
          }
        }
        branches.computeIfAbsent(here, key -> new ArrayList<>()).add(i);
      }
      branches.forEach(
          (here, members) -> {
            // The states of a branch are freed before the next one is computed.
            try (PointerScope scope = new PointerScope()) {
              modules.activate(here);
              Tensor next = encoder.layers(layer, layer + 1, x, input, modules);
              from(layer + 1, next, members.stream().mapToInt(Integer::intValue).toArray());
            }
          });
    }

    private void finish(Tensor x, int[] group) {
      float[] logits = Torch.toFloats(head.outputs(head.reduced(x, input), batch));
      int width = head.schema().outputs();
      for (int i = 0; i < logits.length; i++) {
        if (!Float.isFinite(logits[i])) {
          List<Candidate> subset = subsets.get(group[0]);
          modules.activate(subset);
          throw new DivergedException(
              "the supernet's prediction for example %d is %s with the modules %s: %s; lower the learning rates"
                  .formatted(
                      batch.indices()[i / width],
                      logits[i],
                      Candidate.names(subset),
                      FirstNonFinite.describe(
                          encoder, modules, head, null, tape, List.of(batch), false)));
        }
      }
      for (int subset : group) {
        for (int i = 0; i < batch.examples(); i++) {
          System.arraycopy(logits, i * width, outputs[subset], batch.indices()[i] * width, width);
        }
      }
    }
  }
}
