package org.prunepeft.search.peer;

import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.text.Required;

/**
 * What a {@link PeerSearch} chose, and why.
 *
 * @param method its name
 * @param budget trainable parameters that may be left
 * @param effort what was trained for it
 * @param modules all that there were, by layer, type and name
 * @param trials the subsets that were trained, in order; empty where the supernet was
 */
public record PeerResult(
    String method,
    long budget,
    TrainingEffort effort,
    List<ScoredModule> modules,
    List<Trial> trials) {
  /**
   * What a search has trained.
   *
   * @param trainings how many
   * @param epochs of all of them together
   * @param examples of an epoch
   */
  public record TrainingEffort(int trainings, int epochs, int examples) {}

  /**
   * A module as it was judged.
   *
   * @param module which
   * @param score higher is better: the probability that its gate is open; |Σ w·g|; or by how much
   *     the metric is expected to rise with it
   * @param kept whether it is kept
   */
  public record ScoredModule(Candidate module, double score, boolean kept) {
    /** Refuses what is missing. */
    public ScoredModule {
      Required.present("the module of a score", module);
    }
  }

  /**
   * A subset that was trained.
   *
   * @param modules their names
   * @param metric on validation data
   * @param diverged why the training ended without weights, so that the metric is that of the head
   *     alone; null: it did not
   */
  public record Trial(List<String> modules, double metric, String diverged) {
    /** Copies the list. */
    public Trial {
      Required.present("the modules of a trial", modules);
      modules = List.copyOf(modules);
    }

    /** {@return of a training that came to its end} */
    public static Trial of(List<String> modules, double metric) {
      return new Trial(modules, metric, null);
    }
  }

  /** Copies the lists. */
  public PeerResult {
    Required.present("the method of a search", method);
    Required.present("the effort of a search", effort);
    Required.present("the modules of a search", modules);
    Required.present("the trials of a search", trials);
    modules = List.copyOf(modules);
    trials = List.copyOf(trials);
  }

  /** Of modules by their scores. */
  static List<ScoredModule> scored(
      SearchSpace space, Map<String, Double> scores, List<Candidate> kept) {
    Set<String> names = kept.stream().map(Candidate::name).collect(Collectors.toSet());
    return space.candidates().stream()
        .map(
            module ->
                new ScoredModule(module, scores.get(module.name()), names.contains(module.name())))
        .toList();
  }

  /** {@return the modules that are kept, by layer, type and name} */
  public List<Candidate> kept() {
    return modules.stream().filter(ScoredModule::kept).map(ScoredModule::module).toList();
  }
}
