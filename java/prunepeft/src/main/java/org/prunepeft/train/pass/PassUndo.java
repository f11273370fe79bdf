package org.prunepeft.train.pass;

import java.util.ArrayList;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Tensor;
import org.prunepeft.peft.OutputMagnitudes;

/**
 * What a pass adds to, as it was before: for a pass that fails and is made again. Kept where there
 * are recordings, which could be given up for their memory; not in full fine-tuning, whose
 * gradients are as large as the model.
 */
final class PassUndo implements AutoCloseable {
  private final List<TrainingRun> runs;
  private final boolean wanted;

  /** Whether gradients may be others than before. */
  private boolean begun;

  /** Of {@link #tensors}; null: none are kept. */
  private List<Tensor> kept;

  /** What the pass measures, by what it is to be added to. */
  private final Map<OutputMagnitudes, OutputMagnitudes> measured = new IdentityHashMap<>();

  /**
   * @param runs whose gradients the pass adds to
   * @param recorded whether there are recordings of passes
   */
  PassUndo(List<TrainingRun> runs, boolean recorded) {
    this.runs = runs;
    wanted = recorded && runs.stream().noneMatch(run -> run.encoder() != null);
  }

  private List<Tensor> tensors() {
    List<Tensor> tensors = new ArrayList<>();
    for (TrainingRun run : runs) {
      tensors.add(run.head().parameters().gradients());
      tensors.addAll(run.modules().gradients());
    }
    return tensors;
  }

  /**
   * {@return where the pass adds the sizes of outputs, of which those given get them in the end}
   * Whether or not it may be undone: sums of sums round otherwise than one sum.
   */
  OutputMagnitudes apart(OutputMagnitudes all) {
    return all == null ? null : measured.computeIfAbsent(all, unused -> new OutputMagnitudes());
  }

  /**
   * From here on the pass changes gradients.
   *
   * @param launched whether by a launch alone, which takes no more memory
   */
  void begin(boolean launched) {
    if (wanted && !launched) {
      try (PointerScope temporary = new PointerScope();
          NoGradGuard guard = new NoGradGuard()) {
        List<Tensor> copies = new ArrayList<>();
        tensors().forEach(tensor -> copies.add(tensor.detach().clone()));
        copies.forEach(Tensor::retainReference);
        kept = copies;
      }
    }
    begun = true;
  }

  /** The pass is made. */
  void done() {
    measured.forEach(OutputMagnitudes::add);
  }

  /** {@return whether all can be as it was} */
  boolean isPossible() {
    return kept != null || wanted && !begun;
  }

  /** Makes all as it was. */
  void undo() {
    if (kept != null) {
      List<Tensor> tensors = tensors();
      try (NoGradGuard guard = new NoGradGuard()) {
        for (int i = 0; i < kept.size(); i++) {
          try (Tensor tensor = tensors.get(i).detach()) {
            tensor.copy_(kept.get(i));
          }
        }
      }
    }
  }

  @Override
  public void close() {
    measured.values().forEach(OutputMagnitudes::close);
    if (kept != null) {
      kept.forEach(Tensor::releaseReference);
      kept = null;
    }
  }
}
