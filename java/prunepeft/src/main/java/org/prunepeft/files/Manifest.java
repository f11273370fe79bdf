package org.prunepeft.files;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import org.prunepeft.io.AtomicFile;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.OwnFiles;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.text.Required;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The checksums of a directory's files, in the one of them that is written last: its member {@code
 * files} has size and SHA-256 of each by name, its last member {@code sha256} is the checksum of
 * the file's other members.
 */
public final class Manifest {
  private static final Logger LOG = LoggerFactory.getLogger(Manifest.class);

  /** Directories without checksums that were named in the log. */
  private static final Set<Path> SAID = ConcurrentHashMap.newKeySet();

  private static final String FILES = "files";

  /** The member that has the checksum of the others. */
  public static final String OWN = "sha256";

  /** In a run's configuration since there are manifests. */
  public static final String MODEL_FILES = "model_files";

  /** What is known of a file, by its name. */
  private record Entry(long bytes, String sha256) {
    static Entry of(FileChecksum checksum) {
      return new Entry(checksum.bytes(), checksum.sha256());
    }

    String content(Path file) {
      return new FileChecksum(file, bytes, sha256).content();
    }
  }

  private Manifest() {}

  /**
   * Writes an object with the checksums of other files. These are whole by then.
   *
   * @param name of the file to write
   * @param object what else it holds
   * @param files names of the others
   * @throws RunDirectoryException if a file can't be read or written, or this process has written
   *     it and it holds something else now, or is gone
   */
  public static void write(
      RunDirectory directory, String name, Map<String, Object> object, Collection<String> files) {
    directory.writeJson(name, complete(directory, name, object, files));
  }

  private static Map<String, Object> complete(
      RunDirectory directory, String name, Map<String, Object> object, Collection<String> files) {
    Map<String, Object> whole = new LinkedHashMap<>(object);
    Map<String, Entry> entries = new LinkedHashMap<>();
    Set<String> all = new LinkedHashSet<>(files);
    // Also what is not there any more.
    all.addAll(directory.written());
    all.remove(name);
    for (String file : all) {
      entries.put(file, Entry.of(directory.checksum(file)));
    }
    whole.put(FILES, entries);
    return signed(name, whole);
  }

  /** {@return an object with the checksum of its members as the last one} */
  public static Map<String, Object> signed(String name, Map<?, ?> object) {
    Map<String, Object> whole = new LinkedHashMap<>();
    object.forEach((member, value) -> whole.put(member.toString(), value));
    whole.remove(OWN);
    whole.put(OWN, own(name, RunDirectory.reread(name, whole)));
    return whole;
  }

  private static Entry entry(Path file) {
    try {
      return Entry.of(FileChecksum.of(file));
    } catch (IOException e) {
      throw RunErrors.unread(file, e);
    }
  }

  /** The checksum of an object, whatever spaces its file has. */
  private static String own(String name, Map<String, Object> object) {
    return sum(RunDirectory.format(name, object));
  }

  private static String sum(String text) {
    MessageDigest digest = FileChecksum.digest();
    digest.update(text.getBytes(StandardCharsets.UTF_8));
    return FileChecksum.hex(digest);
  }

  /** Whether a checksum is that of an object, of an earlier version too. */
  static boolean isOwn(String name, Map<String, Object> object, Object said) {
    return own(name, object).equals(said) || sum(RunJson.formatEarlier(name, object)).equals(said);
  }

  /**
   * Opens a run as {@link RunDirectory#openChosen} does, and checks it if it is complete.
   *
   * @throws RunDirectoryException as that and {@link #verify} do
   */
  public static RunDirectory openChosen(Path directory) {
    return verifyComplete(RunDirectory.openChosen(directory), name -> true);
  }

  /**
   * Opens a run as {@link RunDirectory#look} does, and checks what is read of it if it is complete.
   *
   * @param read names of the files that are read, beside {@link RunFiles#RESULT}
   * @throws RunDirectoryException as {@link #verify} does
   */
  public static RunDirectory look(Path directory, Collection<String> read) {
    return verifyComplete(RunDirectory.look(directory), read::contains);
  }

  /**
   * A run that is taken up again meanwhile, as one of several seeds may be, is complete no more.
   */
  private static RunDirectory verifyComplete(RunDirectory run, Predicate<String> checked) {
    Path mark = run.file(RunDirectory.INCOMPLETE);
    if (Files.notExists(mark)) {
      try {
        verify(run, checked);
      } catch (RunDirectoryException e) {
        if (!Files.exists(mark)) {
          throw e;
        }
      }
    }
    return run;
  }

  /**
   * Opens a run as {@link RunDirectory#open} does, and checks what is read of it.
   *
   * @param read names of the files that are read, beside {@link RunFiles#RESULT}
   * @throws RunDirectoryException as that and {@link #verify} do
   */
  public static RunDirectory open(Path directory, Collection<String> read) {
    RunDirectory run = RunDirectory.open(directory);
    verify(run, read::contains);
    return run;
  }

  /**
   * Checks that a complete run's files hold what the run wrote, and that none was added by a name
   * of these.
   *
   * @throws DamagedRunException if one does not, or is gone; names it, both checksums, all others
   *     that differ and the remedy; or if one was added, which it names
   * @throws RunDirectoryException if one can't be read or has a newer format, or if the directory
   *     is that of several runs
   */
  public static void verify(RunDirectory run) {
    verify(run, name -> true);
  }

  private static void verify(RunDirectory run, Predicate<String> checked) {
    RunDirectories.requireOne(run.path());
    if (Files.exists(run.file(RunFiles.RESULT))) {
      verify(run, RunFiles.RESULT, checked);
      // Reports and the like read what is there, whatever they were asked for.
      requireNoOthers(run, RunFiles.RESULT, RunFiles.beforeResult(run));
    } else if (isExpected(run)) {
      throw new DamagedRunException(
          "%s is missing; %s".formatted(run.file(RunFiles.RESULT), restore(run)));
    } else {
      unverified(run);
    }
  }

  /**
   * Checks that a directory's files hold what a manifest says.
   *
   * @param name of the file with the manifest
   * @throws RunDirectoryException as above
   */
  public static void verify(RunDirectory directory, String name) {
    verify(directory, name, file -> true);
  }

  private static void verify(RunDirectory directory, String name, Predicate<String> checked) {
    Map<String, Object> object = directory.readJson(name);
    if (!object.containsKey(FILES) && !object.containsKey(OWN) && !isExpected(directory)) {
      unverified(directory);
      return;
    }
    requireOwn(directory, name, object);
    verifyFiles(directory, name, object, checked);
  }

  /**
   * Checks what is above the runs of several seeds or budgets, as {@link #verify(RunDirectory)}
   * does a run's files: what they gave together, and what of this directory is read beside that.
   *
   * @param read names of files
   * @throws DamagedRunException as that does
   * @throws RunDirectoryException if a file can't be read
   */
  public static void verifyAbove(Path directory, Collection<String> read) {
    RunDirectory above = RunDirectory.look(directory);
    for (String name : together(above)) {
      Map<String, Object> object = RunDirectory.parse(above.file(name));
      boolean lists = object.containsKey(FILES);
      if (lists || object.containsKey(OWN)) {
        requireOwn(above, name, object);
      }
      if (lists) {
        verifyFiles(above, name, object, read::contains);
        requireNoOthers(above, name, read);
      } else {
        unverified(above);
      }
    }
  }

  /**
   * {@return the names of the files, one or two, with what the runs of several seeds or budgets
   * gave together}
   *
   * @param above the directory above these
   * @throws DamagedRunException if there is none
   */
  public static List<String> together(RunDirectory above) {
    List<String> names =
        RunFiles.TOGETHER.stream().filter(name -> Files.exists(above.file(name))).toList();
    if (names.isEmpty()) {
      throw new DamagedRunException(
          "%s has neither %s; %s"
              .formatted(
                  above.path(), String.join(" nor ", RunFiles.TOGETHER), restoreAbove(above)));
    }
    return names;
  }

  private static void verifyFiles(
      RunDirectory directory, String name, Map<String, Object> object, Predicate<String> checked) {
    Path manifest = directory.file(name);
    if (!(object.get(FILES) instanceof Map<?, ?> files)) {
      throw new DamagedRunException(
          "%s has no object '%s'; %s".formatted(manifest, FILES, remedy(directory)));
    }
    String first = null;
    List<String> others = new ArrayList<>();
    Map<Path, Entry> read = new HashMap<>();
    for (Map.Entry<?, ?> one : files.entrySet()) {
      String file = one.getKey().toString();
      if (checked.test(file)) {
        Path path = path(directory, manifest, file);
        Entry then = written(manifest, file, one.getValue());
        Optional<String> difference = difference(path, then, read);
        if (first == null) {
          first = difference.orElse(null);
        } else if (difference.isPresent()) {
          others.add(Files.notExists(path) ? file + " (missing)" : file);
        }
      }
    }
    if (first != null) {
      throw new DamagedRunException(
          "%s;%s %s"
              .formatted(
                  first,
                  others.isEmpty() ? "" : " others that differ: " + String.join(", ", others) + ";",
                  remedy(directory)));
    }
  }

  /**
   * Checks that a directory has no file that is read without a checksum, such as one that was added
   * to it. Where there are no checksums at all, it may.
   *
   * @param name of the file with the manifest
   * @param read names of files that are read where they are there
   * @throws DamagedRunException if there is one; names it
   */
  public static void requireNoOthers(RunDirectory directory, String name, Collection<String> read) {
    if (!(directory.readJson(name).get(FILES) instanceof Map<?, ?> files)) {
      return;
    }
    for (String file : read) {
      if (!files.containsKey(file) && Files.exists(directory.file(file))) {
        throw new DamagedRunException(
            "%s was added: %s has no checksum of it; remove it, or, if it was added on purpose, 'prunepeft seal %s' takes all files as they are"
                .formatted(directory.file(file), directory.file(name), directory.path()));
      }
    }
  }

  /** Takes the checksum of an object's other members out of it, which they must have. */
  static void requireOwn(RunDirectory directory, String name, Map<String, Object> object) {
    Optional<String> difference = ownDifference(name, object);
    if (difference.isPresent()) {
      throw new DamagedRunException(
          "%s is damaged or was changed: %s; %s"
              .formatted(directory.file(name), difference.get(), remedy(directory)));
    }
  }

  /**
   * Takes the checksum of an object's other members out of it.
   *
   * @return how it differs from theirs, both named; empty: it does not
   */
  public static Optional<String> ownDifference(String name, Map<String, Object> object) {
    Object said = object.remove(OWN);
    return isOwn(name, object, said)
        ? Optional.empty()
        : Optional.of(
            "its content has SHA-256 %s, and it says %s".formatted(own(name, object), said));
  }

  private static Entry written(Path manifest, Object file, Object value) {
    try {
      return Required.present("size and checksum", RunDirectory.convert(value, Entry.class));
    } catch (IllegalArgumentException e) {
      throw new DamagedRunException("%s, %s: %s".formatted(manifest, file, e.getMessage()), e);
    }
  }

  private static Path path(RunDirectory directory, Path manifest, String file) {
    try {
      return directory.file(file);
    } catch (IllegalArgumentException e) {
      throw new DamagedRunException("%s, %s: %s".formatted(manifest, FILES, e.getMessage()), e);
    }
  }

  /** How a file differs from what was written; empty: it does not. */
  private static Optional<String> difference(Path file, Entry then, Map<Path, Entry> read) {
    if (Files.notExists(file)) {
      return Optional.of("%s is missing: it had %s".formatted(file, then.content(file)));
    }
    // One of several names, such as x/../NAME, is read once.
    Entry now = read.computeIfAbsent(file, Manifest::entry);
    return now.equals(then)
        ? Optional.empty()
        : Optional.of(
            "%s is damaged or was changed: it has %s, but was written with %s"
                .formatted(file, now.content(file), then.content(file)));
  }

  /**
   * {@return how a directory's files differ from what its manifest says, a line each, that of a
   * file that it does not name too; it may be damaged itself}
   *
   * @param name of the file with the manifest
   * @param files names of the others that are there
   * @throws RunDirectoryException if a file can't be read
   */
  public static List<String> differences(
      RunDirectory directory, String name, Collection<String> files) {
    Map<String, Object> object = RunDirectory.parse(directory.file(name));
    List<String> lines = new ArrayList<>();
    Object said = object.remove(OWN);
    if (said == null) {
      lines.add(directory.file(name) + " had no checksum of its own");
    } else if (!isOwn(name, object, said)) {
      lines.add(
          "%s was changed: its content has SHA-256 %s, and it said %s"
              .formatted(directory.file(name), own(name, object), said));
    }
    Map<?, ?> then = object.get(FILES) instanceof Map<?, ?> written ? written : Map.of();
    for (String file : files) {
      lines.addAll(difference(directory.file(file), then.get(file)));
    }
    for (Object file : then.keySet()) {
      if (!files.contains(file.toString())) {
        lines.add("%s is gone; %s had its checksum".formatted(file, name));
      }
    }
    return lines;
  }

  private static List<String> difference(Path file, Object then) {
    Entry now = entry(file);
    Entry before;
    try {
      before = then == null ? null : RunDirectory.convert(then, Entry.class);
    } catch (IllegalArgumentException e) {
      before = null;
    }
    if (before == null) {
      return List.of("%s had no checksum: it has %s".formatted(file, now.content(file)));
    }
    return now.equals(before)
        ? List.of()
        : List.of(
            "%s was changed: it has %s, and had %s"
                .formatted(file, now.content(file), before.content(file)));
  }

  /** Whether what wrote the directory knew of manifests. */
  private static boolean isExpected(RunDirectory directory) {
    Path config = directory.file(RunFiles.CONFIG);
    return Files.exists(config) && directory.readJson(RunFiles.CONFIG).containsKey(MODEL_FILES);
  }

  private static void unverified(RunDirectory directory) {
    if (!SAID.add(directory.path().toAbsolutePath())) {
      return;
    }
    LOG.warn(
        "{} is of an earlier version and has no checksums: its files are taken as they are; 'prunepeft seal {}' adds them",
        directory.path(),
        directory.path());
  }

  private static String remedy(RunDirectory directory) {
    if (Files.exists(directory.file(RunDirectory.INCOMPLETE))) {
      return "restore it from a copy, or make %s anew; if it was changed on purpose, remove its member '%s'"
          .formatted(directory.path(), OWN);
    }
    return "%s; if it was changed on purpose, 'prunepeft seal %s' takes all files as they are"
        .formatted(
            RunDirectories.isAbove(directory.path()) ? restoreAbove(directory) : restore(directory),
            directory.path());
  }

  /** Of a directory above several runs. */
  private static String restoreAbove(RunDirectory above) {
    return "restore it from a copy, or delete %s, and --resume makes anew what its runs gave together"
        .formatted(above.file(RunFiles.SUMMARY));
  }

  /** The remedy where nothing can be taken as it is. */
  private static String restore(RunDirectory directory) {
    return "restore it from a copy, or make %s anew".formatted(directory.path());
  }

  /**
   * Requires the file that a complete run writes last.
   *
   * @throws DamagedRunException if it is not there
   */
  public static void requireResult(RunDirectory run) {
    if (!Files.exists(run.file(RunFiles.RESULT))) {
      throw new DamagedRunException(
          "%s is missing, and without it the run has no results; %s"
              .formatted(run.file(RunFiles.RESULT), restore(run)));
    }
  }

  /**
   * Takes a complete directory's files as they are: writes their checksums anew.
   *
   * @param name of the file with the manifest; made where it is absent
   * @param files names of the others
   * @throws RunDirectoryException if a file can't be read or written
   */
  public static void renew(RunDirectory directory, String name, Collection<String> files) {
    Path file = directory.file(name);
    Map<String, Object> object =
        Files.exists(file) ? directory.readJson(name) : RunDirectory.formatted();
    replace(directory, name, complete(directory, name, object, files));
  }

  /**
   * Takes an object of a complete directory as it is: writes the checksum of its members anew, if
   * it has one.
   *
   * @throws RunDirectoryException if it can't be read or written
   */
  public static void resign(RunDirectory directory, String name) {
    Path file = directory.file(name);
    if (Files.exists(file)) {
      Map<String, Object> object = RunDirectory.parse(file);
      if (object.containsKey(OWN)) {
        replace(directory, name, signed(name, object));
      }
    }
  }

  /** Replaces a file of a complete directory. */
  public static void replace(RunDirectory directory, String name, Map<String, Object> object) {
    Path file = directory.file(name);
    Object whole = RunFiles.SIGNED.contains(name) ? signed(name, object) : object;
    OwnFiles.require(directory.path(), file);
    try {
      AtomicFile.write(file, RunDirectory.format(name, whole).getBytes(StandardCharsets.UTF_8));
    } catch (IOException e) {
      throw RunErrors.unwritten(file, e);
    }
  }
}
