package org.prunepeft.search;

import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.prunepeft.text.Required;

/**
 * What one round of pruning saw and did.
 *
 * @param stage the training it began with
 * @param target the parameters to be left at most after it
 * @param readings how well each criterion distinguished the modules of each type, by criterion and
 *     type
 * @param panels the criteria that judged each partition that still held modules, by partition
 * @param verdicts how each module was judged, by layer, type and name
 * @param removals the modules that went, in order
 * @param spared modules that were due to go but were the last to fit the budget
 * @param survivors the modules that are left, by layer, type and name
 * @param information whether the scores carried any information
 * @param training how it went; empty if that was not measured
 */
public record PruningRound(
    Stage stage,
    long target,
    List<Reading> readings,
    List<Panel> panels,
    List<Verdict> verdicts,
    List<Removal> removals,
    List<Candidate> spared,
    List<Candidate> survivors,
    Information information,
    Optional<TrainingHealth> training) {
  /** Whether the scores of the criteria that judged carried any information. */
  public enum Information {
    /**
     * The training learnt something, and the reliabilities of all criteria that judged are together
     * above zero by more than chance: of rounds whose scores are noise so are about 5 %.
     */
    RELIABLE,
    /**
     * Criteria distinguished modules, but the reliability of none of them could be measured, or
     * there are so few modules that no reliability would be more than chance may give.
     */
    UNMEASURED,
    /**
     * None: the training was not healthy, no criterion of any partition distinguished modules, or
     * the reliabilities that were measured are no higher than chance may make them. The choice may
     * then be no better than a random one. Halves of a training that diverged agree well, which
     * says nothing.
     */
    NONE
  }

  /**
   * Copies the lists.
   *
   * @throws IllegalArgumentException if what is not a list is null, or a verdict has no score by a
   *     criterion that judged
   */
  public PruningRound {
    Required.present("a round's stage", stage);
    Required.present("a round's information", information);
    readings = List.copyOf(readings);
    panels = List.copyOf(panels);
    verdicts = List.copyOf(verdicts);
    removals = List.copyOf(removals);
    spared = List.copyOf(spared);
    survivors = List.copyOf(survivors);
    Set<String> judging = new TreeSet<>();
    panels.forEach(panel -> judging.addAll(panel.weights().keySet()));
    for (Verdict verdict : verdicts) {
      for (String criterion : judging) {
        if (!verdict.scores().containsKey(criterion)) {
          throw new IllegalArgumentException(
              "the verdict on %s has no score by %s, which judged in its round"
                  .formatted(verdict.module().name(), criterion));
        }
      }
    }
  }

  /** {@return why the training's scores say nothing, in words; empty if it was healthy} */
  public Optional<String> sickness() {
    return training.filter(health -> !health.healthy()).map(health -> health.state().words());
  }

  /** {@return why its training, or the first attempt at it, diverged; empty if none did} */
  public Optional<String> divergence() {
    return training.flatMap(TrainingHealth::divergence);
  }

  /** {@return which round it is, from 1} */
  public int index() {
    return stage.index();
  }

  /** {@return the trainable parameters of the survivors} */
  public long parameters() {
    return Candidate.total(survivors);
  }
}
