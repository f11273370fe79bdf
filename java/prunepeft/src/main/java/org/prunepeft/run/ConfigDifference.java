package org.prunepeft.run;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.model.EncoderConfig;
import org.prunepeft.settings.ModuleChoice;
import org.prunepeft.settings.SearchSettings;
import org.prunepeft.settings.Setup;

/**
 * In what two configurations differ, that of a run and that which it, or one that belongs to it,
 * would have now.
 *
 * @param member its name in {@link RunFiles#CONFIG}
 * @param before what the run has; of an object the members that the other has not
 * @param now what it would have, likewise
 */
record ConfigDifference(String member, Object before, Object now) {
  /**
   * No settings, and where things are, which may have been moved; model and plugins are compared
   * apart.
   */
  private static final Set<String> APART =
      Set.of(
          RunRecord.VERSIONS,
          RunFiles.BEGAN,
          RunFiles.PLUGINS,
          ModelFiles.MEMBER,
          ModelFiles.OF_WRITING,
          ModelFiles.DIRECTORY,
          RunRecord.SETUP + ".output");

  /** The places of maps: their members are names that were given, which no version has added. */
  private static final Set<String> MAPS =
      Stream.of(
              maps(RunRecord.SETUP, Setup.class),
              maps(RunRecord.SEARCH, SearchSettings.class),
              maps(RunRecord.SELECTION, ModuleChoice.class))
          .flatMap(places -> places)
          .collect(Collectors.toUnmodifiableSet());

  /** Of own files those of a setup. */
  private static final List<String> OWN_FILES = List.of("train", "validation", "test");

  /**
   * {@return the first member in which they differ; empty: there is none} Data and a model that
   * hold the same may lie elsewhere. Where their versions differ, members that came later are
   * passed over.
   *
   * @param before of a run
   * @param now members that it has not are passed over
   * @param apart names of members in which they may differ, such as {@code setup.seed}
   * @throws org.prunepeft.io.RunDirectoryException if one lists no files, or has no model, where it
   *     should; names file and member
   */
  static Optional<ConfigDifference> of(RunConfig before, RunConfig now, Set<String> apart) {
    Map<String, Object> then = compared(before, now, apart);
    Map<String, Object> later = compared(now, now, apart);
    if (readSame(before, now)) {
      leaveOutData(before, then);
      leaveOutData(now, later);
    }
    if (later.containsKey(RunRecord.ENCODER) && sameModel(before.encoder(), now.encoder())) {
      later.remove(RunRecord.ENCODER);
    }
    if (ofVersions(before, now).isPresent()) {
      leaveOutLater(then, later, "");
    }
    return later.keySet().stream()
        .filter(member -> !Objects.equals(later.get(member), then.get(member)))
        .findFirst()
        .map(
            member ->
                new ConfigDifference(
                    member,
                    others(then.get(member), later.get(member)),
                    others(later.get(member), then.get(member))));
  }

  /**
   * {@return the same of two runs that are there} Either may be of the later version.
   *
   * @param apart names of members in which they may differ
   */
  static Optional<ConfigDifference> ofRuns(RunConfig one, RunConfig other, Set<String> apart) {
    Optional<ConfigDifference> difference = of(one, other, apart);
    return ofVersions(one, other).isPresent() && of(other, one, apart).isEmpty()
        ? Optional.empty()
        : difference;
  }

  /** {@return how their versions of the program and of libraries differ; empty: they do not} */
  static Optional<ConfigDifference> ofVersions(RunConfig before, RunConfig now) {
    Object then = before.get(RunRecord.VERSIONS);
    Object later = now.get(RunRecord.VERSIONS);
    return Objects.equals(then, later)
        ? Optional.empty()
        : Optional.of(new ConfigDifference(RunRecord.VERSIONS, then, later));
  }

  /** {@return whether both name the same places of data, so that these need not be compared} */
  static boolean namesSameData(RunConfig before, RunConfig now) {
    return placesOfData(before).equals(placesOfData(now));
  }

  /** Each may be null. */
  private static List<Object> placesOfData(RunConfig config) {
    List<Object> places = new ArrayList<>();
    places.add(config.setup("data"));
    OWN_FILES.forEach(file -> places.add(config.ownFiles().map(own -> own.get(file)).orElse(null)));
    return places;
  }

  /** A copy of a configuration without what may differ. */
  private static Map<String, Object> compared(RunConfig config, RunConfig now, Set<String> apart) {
    Map<String, Object> copy = RunDirectory.reread(RunFiles.CONFIG, config.members());
    Stream.of(APART, apart).flatMap(Set::stream).forEach(name -> remove(copy, name));
    if (!now.files(ModelFiles.MEMBER).isEmpty()) {
      // It holds the same, wherever it lies.
      remove(copy, RunRecord.SETUP + ".model");
    }
    return copy;
  }

  /** Whether their data hold the same, file by file, wherever these lie. */
  private static boolean readSame(RunConfig before, RunConfig now) {
    List<FileChecksum> then = before.files(RunData.MEMBER);
    List<FileChecksum> later = now.files(RunData.MEMBER);
    return !later.isEmpty()
        && then.size() == later.size()
        && IntStream.range(0, then.size()).allMatch(i -> later.get(i).holdsSame(then.get(i)))
        && named(before).equals(named(now));
  }

  /** Which of own files a setup names. */
  private static List<String> named(RunConfig config) {
    return config
        .ownFiles()
        .map(files -> OWN_FILES.stream().filter(file -> files.get(file) != null).toList())
        .orElse(List.of());
  }

  /**
   * @param compared a copy of the configuration, from which the data are removed
   */
  private static void leaveOutData(RunConfig config, Map<String, Object> compared) {
    remove(compared, RunData.MEMBER);
    remove(compared, RunRecord.SETUP + ".data");
    if (config.ownFiles().isPresent()) {
      OWN_FILES.forEach(file -> remove(compared, RunRecord.SETUP + ".files." + file));
      // Its name comes from that of the file, or of its directory.
      remove(compared, RunRecord.SETUP + ".task");
    }
  }

  /** The places of maps in a record, and in the records that it has. */
  private static Stream<String> maps(String place, Class<?> type) {
    if (Map.class.isAssignableFrom(type)) {
      return Stream.of(place);
    }
    return type.isRecord()
        ? Arrays.stream(type.getRecordComponents())
            .flatMap(own -> maps(place + "." + own.getName(), own.getType()))
        : Stream.empty();
  }

  /** Removes the members that an earlier version did not write. */
  private static void leaveOutLater(Map<?, ?> before, Map<?, ?> now, String place) {
    if (!MAPS.contains(place)) {
      now.keySet().retainAll(before.keySet());
    }
    String within = place.isEmpty() ? "" : place + ".";
    now.forEach(
        (name, value) -> {
          // Compared as a model, with what an earlier version took for granted.
          if (!name.equals(RunRecord.ENCODER)
              && value instanceof Map<?, ?> inner
              && before.get(name) instanceof Map<?, ?> earlier) {
            leaveOutLater(earlier, inner, within + name);
          }
        });
  }

  private static void remove(Map<?, ?> object, String name) {
    int dot = name.indexOf('.');
    if (dot < 0) {
      object.remove(name);
    } else if (object.get(name.substring(0, dot)) instanceof Map<?, ?> inner) {
      remove(inner, name.substring(dot + 1));
    }
  }

  /** Of a member those of its own members that the other has not. */
  private static Object others(Object one, Object other) {
    if (one instanceof Map<?, ?> members && other instanceof Map<?, ?> others) {
      Map<Object, Object> different = new LinkedHashMap<>(members);
      different
          .entrySet()
          .removeIf(
              entry ->
                  others.containsKey(entry.getKey())
                      && Objects.equals(entry.getValue(), others.get(entry.getKey())));
      return different;
    }
    return one;
  }

  /** Where texts end beyond the token that is learnt, and their length, matter to no training. */
  static boolean sameModel(EncoderConfig before, EncoderConfig now) {
    return now.computesAs(before)
        && (now.decoder() == null
            || ends(now).limit(1).toList().equals(ends(before).limit(1).toList()));
  }

  private static Stream<Integer> ends(EncoderConfig model) {
    return model.decoder().endTokens().stream();
  }

  /** {@return both, with words between them} */
  String text(String between) {
    return "%s %s %s".formatted(before, between, now);
  }

  /**
   * {@return what differs, for the user}
   *
   * @param run whose configuration came first
   * @param between leads over to the other
   */
  String ofSettings(Path run, String between) {
    return "the run in %s began with other settings or data: its %s has %s %s"
        .formatted(run, RunFiles.CONFIG, member, text(between));
  }
}
