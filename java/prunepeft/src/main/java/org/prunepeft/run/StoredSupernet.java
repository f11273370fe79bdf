package org.prunepeft.run;

import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.peft.supernet.PeftModules;
import org.prunepeft.settings.MeasuringSettings;
import org.prunepeft.settings.Setup;
import org.prunepeft.torch.FlatParameters;
import org.prunepeft.train.head.TaskHead;

/**
 * The trained supernet that the directory of a measured search has: whole modules, before they are
 * cut into slices, and the head that was trained with them, that of a regression for standardised
 * targets.
 */
final class StoredSupernet {
  /**
   * What a run must share with the search to take its supernet: with other examples for training it
   * would be measured and validated on some that the supernet has learnt.
   */
  private static final Set<String> SHARED =
      Set.of(
          "task",
          "files",
          "data",
          "sizes",
          "pairEncoding",
          "lora",
          "adapter",
          "modules",
          "moduleSettings",
          "seed",
          "testSeed");

  /** What a run fills in by its number of steps. */
  private static final String STEPS = ".lora.adaLora.totalStep";

  private StoredSupernet() {}

  static List<FlatParameters> weights(PeftModules modules, TaskHead head) {
    List<FlatParameters> all = new ArrayList<>(modules.groups().values());
    all.add(head.parameters());
    return all;
  }

  /**
   * Reads it.
   *
   * @param run the directory of a measured search that is complete, or at least has chosen its
   *     modules
   * @param modules the whole supernet of the session, which gets its weights
   * @param head a copy of the session's, likewise
   * @throws org.prunepeft.io.RunDirectoryException if it is absent, incomplete or damaged
   * @throws IllegalArgumentException if it has no supernet, or one of another model, other modules,
   *     data or another seed; names the difference
   */
  static void read(Path run, Session session, PeftModules modules, TaskHead head) {
    RunDirectory directory = Manifest.openChosen(run);
    MeasuringSettings.requireSupernet(run);
    difference(directory, session)
        .ifPresent(
            difference -> {
              throw new IllegalArgumentException(
                  difference
                      + "; its supernet is taken with the same model, modules, data, sizes and seed");
            });
    ParameterFile.read(directory.file(RunFiles.SUPERNET), weights(modules, head));
  }

  private static Optional<String> difference(RunDirectory run, Session session) {
    Map<String, Object> config = new LinkedHashMap<>();
    config.put(RunRecord.VERSIONS, RunConfig.of(run).get(RunRecord.VERSIONS));
    config.put(RunRecord.SETUP, session.wholeSetup());
    config.put(RunRecord.ENCODER, session.encoder.config());
    ModelFiles.put(config, session.setup.model(), session.modelFiles);
    config.put(
        RunData.MEMBER,
        session.data.isEmpty() ? RunData.of(session.setup.resolveTask()) : session.data);
    RunConfig now = RunConfig.now(run.path(), config);
    List<String> files =
        Stream.of(ModelFiles.changes(run, now), RunData.changes(run, now.files(RunData.MEMBER)))
            .flatMap(List::stream)
            .toList();
    return files.isEmpty()
        ? ConfigDifference.of(RunConfig.of(run), now, apart())
            .map(difference -> difference.ofSettings(run.path(), "and now it would be"))
        : Optional.of(String.join("; ", files));
  }

  private static Set<String> apart() {
    return Stream.concat(
            Arrays.stream(Setup.class.getRecordComponents())
                .map(RecordComponent::getName)
                .filter(name -> !SHARED.contains(name))
                .map(name -> RunRecord.SETUP + "." + name),
            Stream.of(RunRecord.SETUP + STEPS))
        .collect(Collectors.toSet());
  }
}
