package org.prunepeft.settings;

import io.soabase.recordbuilder.core.RecordBuilder;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.OptionalInt;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.peft.supernet.Slices;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.DepthOrder;
import org.prunepeft.search.DepthOrder.Layers;
import org.prunepeft.search.RandomSelection;
import org.prunepeft.search.SearchSpace;
import org.prunepeft.text.EnumNames;

/**
 * Which weights a plain training trains beside the head: the baselines of a search, and what one
 * found.
 *
 * @param kind what it goes by
 * @param names of the modules, for {@link Kind#MODULES}; the one type of module, for {@link
 *     Kind#TYPE}; else empty
 * @param budget for the random ones and those of some layers; else null
 * @param depth of the model that named modules were chosen for; null: they are for any that has
 *     them
 * @param draw which of several random choices of a seed, from 0; else 0
 * @param sizes of named modules, where an earlier run made them smaller; null: the setup's
 * @param warmStart what named modules begin with; null: new weights
 */
@RecordBuilder
public record ModuleChoice(
    Kind kind,
    List<String> names,
    Budget budget,
    Depth depth,
    int draw,
    ModuleSizes sizes,
    SupernetWeights warmStart)
    implements RunSettings {
  /** What a selection goes by. */
  public enum Kind {
    /** No module: the head alone. */
    HEAD,
    /** All modules. */
    SUPERNET,
    /** All modules of a type. */
    TYPE,
    /** LoRA on all linear layers in place of the supernet, its rank as the budget lets it be. */
    ALL_LINEAR,
    /** No module, but all weights of the encoder itself: full fine-tuning. */
    FULL,
    /** Random modules within the budget. */
    RANDOM,
    /** The modules of the layers nearest the input, within the budget. */
    FIRST_LAYERS,
    /** Those around the middle, likewise. */
    MIDDLE_LAYERS,
    /** Those nearest the head, likewise. */
    LAST_LAYERS,
    /** Named modules. */
    MODULES;

    private boolean needsBudget() {
      return switch (this) {
        case ALL_LINEAR, RANDOM, FIRST_LAYERS, MIDDLE_LAYERS, LAST_LAYERS -> true;
        case HEAD, SUPERNET, TYPE, FULL, MODULES -> false;
      };
    }

    @Override
    public String toString() {
      return EnumNames.dashed(this);
    }
  }

  /**
   * @throws IllegalArgumentException if names or budget are missing where the kind needs them
   */
  public ModuleChoice {
    Objects.requireNonNull(kind, "kind");
    names = List.copyOf(names);
    if (kind == Kind.TYPE && names.size() != 1) {
      throw new IllegalArgumentException("one type of module must be named, got " + names);
    }
    if (kind.needsBudget() && budget == null) {
      throw new IllegalArgumentException("a " + kind + " selection needs a budget, got none");
    }
    if (draw < 0 || draw > 0 && kind != Kind.RANDOM) {
      throw new IllegalArgumentException(
          "a draw is at least 0, and 0 but for random modules, got %d for %s"
              .formatted(draw, kind));
    }
    if (warmStart != null && (kind != Kind.MODULES || depth == null || depth.mapped())) {
      throw new IllegalArgumentException(
          "a supernet's weights are for the modules of a measured search, at their own layers");
    }
  }

  private ModuleChoice(Kind kind, List<String> names, Budget budget, Depth depth) {
    this(kind, names, budget, depth, 0, null, null);
  }

  /** {@return the head alone} */
  public static ModuleChoice head() {
    return new ModuleChoice(Kind.HEAD, List.of(), null, null);
  }

  /** {@return all modules} */
  public static ModuleChoice supernet() {
    return new ModuleChoice(Kind.SUPERNET, List.of(), null, null);
  }

  /**
   * {@return all modules of a type, such as lora or adapter}
   *
   * @param type the kind of module
   */
  public static ModuleChoice type(String type) {
    return new ModuleChoice(Kind.TYPE, List.of(type), null, null);
  }

  /**
   * {@return LoRA on all linear layers, in place of the setup's supernet}
   *
   * @param budget how many parameters it may have; a share is one of that supernet's
   */
  public static ModuleChoice allLinear(Budget budget) {
    return new ModuleChoice(Kind.ALL_LINEAR, List.of(), budget, null);
  }

  /** {@return full fine-tuning: the encoder's own weights, and no modules} */
  public static ModuleChoice full() {
    return new ModuleChoice(Kind.FULL, List.of(), null, null);
  }

  /**
   * {@return random modules; the setup's seed decides which}
   *
   * @param budget how many parameters they may have together
   */
  public static ModuleChoice random(Budget budget) {
    return random(budget, 0);
  }

  /**
   * {@return one of several random choices that belong to the setup's seed}
   *
   * @param budget how many parameters they may have together
   * @param draw which, from 0, the one that {@link #random(Budget)} gives
   */
  public static ModuleChoice random(Budget budget, int draw) {
    return new ModuleChoice(Kind.RANDOM, List.of(), budget, null, draw, null, null);
  }

  /**
   * {@return the modules of the first, the middle or the last layers}
   *
   * @param layers which
   * @param budget how many parameters they may have together
   */
  public static ModuleChoice layers(Layers layers, Budget budget) {
    Kind kind =
        switch (layers) {
          case FIRST -> Kind.FIRST_LAYERS;
          case MIDDLE -> Kind.MIDDLE_LAYERS;
          case LAST -> Kind.LAST_LAYERS;
        };
    return new ModuleChoice(kind, List.of(), budget, null);
  }

  /**
   * {@return the modules of these names, such as {@code encoder.layer.0.lora}}
   *
   * @param names of modules that the setup's supernet has
   */
  public static ModuleChoice modules(List<String> names) {
    return new ModuleChoice(Kind.MODULES, names, null, null);
  }

  /**
   * {@return what an earlier run trained: the modules that a search left, or what a plain training
   * was given}
   *
   * @param run the directory of a run that is complete, or at least has chosen its modules
   * @throws org.prunepeft.io.RunDirectoryException if it is absent, incomplete or damaged
   */
  public static ModuleChoice ofRun(Path run) {
    RunDirectory directory = Manifest.openChosen(run);
    if (RunFiles.isFull(directory)) {
      return full();
    }
    Candidate[] kept = directory.readJson(RunFiles.CONFIGURATION, "modules", Candidate[].class);
    return chosen(
        directory, Arrays.stream(kept).map(Candidate::name).toList(), Setup.sized(directory));
  }

  /** Those of a run, in the sizes of a setup that is the run's in all else. */
  private static ModuleChoice chosen(RunDirectory run, List<String> names, Setup sized) {
    int layers = run.readJson(RunFiles.CONFIG, "encoder", EncoderConfig.class).layers();
    return new ModuleChoice(
        Kind.MODULES,
        names,
        null,
        new Depth(layers, false),
        0,
        ModuleSizes.between(Setup.of(run), sized),
        null);
  }

  /**
   * Trained modules of a measured search's supernet.
   *
   * @param run the directory of the search
   * @param moduleSlices slices of each of its modules at most
   * @param chosen names of the slices, or modules, that are taken
   * @param retrainingEpochs of the training that goes on with them; empty: half of the setup's
   */
  public record SupernetWeights(
      Path run, int moduleSlices, List<String> chosen, OptionalInt retrainingEpochs) {
    /** Copies the names. */
    public SupernetWeights {
      chosen = List.copyOf(chosen);
    }
  }

  /**
   * {@return the same modules, trained on from the weights that they have in the supernet of the
   * measured search that chose them, as that search trains its choice}
   *
   * @param run the directory of the search
   * @param row of the front of configurations, as {@link #ofFront} takes it; empty: its choice
   * @throws org.prunepeft.io.RunDirectoryException if it is absent, incomplete or damaged
   * @throws IllegalArgumentException if it is no measured search, or its front has no such row, or
   *     it has not kept its supernet
   */
  public static ModuleChoice ofSupernet(Path run, OptionalInt row) {
    MeasuredFront front = MeasuredFront.of(run);
    MeasuringSettings.requireSupernet(run);
    List<String> chosen = row.isPresent() ? front.chosen(row.getAsInt()) : front.kept();
    MeasuringSettings settings = front.settings();
    return ModuleChoiceBuilder.builder(ofSlices(front, chosen))
        .warmStart(
            new SupernetWeights(
                run.toAbsolutePath(),
                settings.moduleSlices().orElse(1),
                chosen,
                settings.retrainingEpochs()))
        .build();
  }

  private static ModuleChoice ofSlices(MeasuredFront front, List<String> chosen) {
    Slices slices = front.slices();
    return chosen(front.run(), slices.modules(chosen), Setup.of(front.run()).sized(slices, chosen));
  }

  /**
   * {@return the same modules, which a model of another depth has at the same share of its depth}
   *
   * @throws IllegalStateException if the choice is not an earlier run's
   */
  public ModuleChoice mapped() {
    if (depth == null) {
      throw new IllegalStateException("only modules that an earlier run chose are mapped");
    }
    return ModuleChoiceBuilder.builder(this).depth(new Depth(depth.layers(), true)).build();
  }

  /**
   * {@return another configuration that an earlier measured search found}
   *
   * @param run the directory of a run that is complete, or at least has chosen its modules
   * @param row of the front of configurations, from 1, as the run's summary numbers them
   * @throws org.prunepeft.io.RunDirectoryException if it is absent, incomplete or damaged
   * @throws IllegalArgumentException if it is no measured search, or its front has no such row;
   *     names those that there are
   */
  public static ModuleChoice ofFront(Path run, int row) {
    MeasuredFront front = MeasuredFront.of(run);
    return ofSlices(front, front.chosen(row));
  }

  /**
   * {@return a setup whose modules have the sizes of the choice}
   *
   * @param setup with whole modules
   * @param model that is to have them
   * @throws IllegalArgumentException if the sizes are those of layers of a model of another depth
   */
  public Setup sized(Setup setup, EncoderConfig model) {
    if (sizes == null) {
      return setup;
    }
    if (depth.layers() != model.layers()) {
      throw new IllegalArgumentException(
          "the earlier run made modules smaller, each in its layer, which a model of %d layers can't take over from one of %d"
              .formatted(model.layers(), depth.layers()));
    }
    return sizes.of(setup);
  }

  public boolean trainsEncoder() {
    return kind == Kind.FULL;
  }

  /**
   * The modules of a space that it names.
   *
   * @throws IllegalArgumentException if it names some that are not there, or the budget is out of
   *     the space's range
   */
  public List<Candidate> of(SearchSpace space, long seed) {
    return switch (kind) {
      case HEAD, FULL -> List.of();
      // In its place there is nothing but that LoRA.
      case SUPERNET, ALL_LINEAR -> space.candidates();
      case TYPE -> ofType(space, names.get(0));
      case RANDOM -> RandomSelection.keep(space, budget.of(space.totalParameters()), drawn(seed));
      case FIRST_LAYERS -> ofLayers(space, Layers.FIRST);
      case MIDDLE_LAYERS -> ofLayers(space, Layers.MIDDLE);
      case LAST_LAYERS -> ofLayers(space, Layers.LAST);
      case MODULES -> named(space);
    };
  }

  /** No two small seeds and draws give the same: a draw is a step of the golden ratio. */
  private long drawn(long seed) {
    return seed + draw * 0x9e3779b97f4a7c15L;
  }

  private List<Candidate> ofLayers(SearchSpace space, Layers layers) {
    return DepthOrder.keep(space, budget.of(space.totalParameters()), layers);
  }

  private static List<Candidate> ofType(SearchSpace space, String type) {
    if (!space.types().contains(type)) {
      throw new IllegalArgumentException(
          "the supernet has no modules of type '%s'; it has %s".formatted(type, space.types()));
    }
    return space.candidates().stream().filter(module -> module.type().equals(type)).toList();
  }

  private List<Candidate> named(SearchSpace space) {
    List<String> known = Candidate.names(space.candidates());
    List<String> wanted = depth == null ? names : depth.names(names, space.layers());
    for (String name : wanted) {
      if (!known.contains(name)) {
        throw new IllegalArgumentException("no module is named '" + name + "'; there are " + known);
      }
    }
    return space.candidates().stream().filter(module -> wanted.contains(module.name())).toList();
  }

  /** A word or two for it: lora, random, full, 6 by name. */
  @Override
  public String toString() {
    return switch (kind) {
      case TYPE -> names.get(0);
      case MODULES -> names.size() + " by name";
      default -> kind.toString();
    };
  }
}
