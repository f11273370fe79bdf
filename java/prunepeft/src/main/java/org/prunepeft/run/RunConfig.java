package org.prunepeft.run;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.files.RunFiles;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.model.EncoderConfig;

/**
 * What a run's {@link RunFiles#CONFIG} says, or would say. Members of other types than a run writes
 * are refused by file and member where they are read.
 *
 * @param file that says it
 * @param members by their names, as they are read from a file
 */
public record RunConfig(Path file, Map<String, Object> members) {
  /**
   * {@return what a run says}
   *
   * @throws org.prunepeft.io.RunDirectoryException as {@link RunDirectory#readJson(String)} does
   */
  public static RunConfig of(RunDirectory run) {
    return new RunConfig(run.file(RunFiles.CONFIG), run.readJson(RunFiles.CONFIG));
  }

  /**
   * {@return what a run would say}
   *
   * @param directory of the run
   * @param members of any types that JSON has
   */
  static RunConfig now(Path directory, Map<String, Object> members) {
    return new RunConfig(
        directory.resolve(RunFiles.CONFIG), RunDirectory.reread(RunFiles.CONFIG, members));
  }

  /** {@return whether there is such a member, which may be null} */
  public boolean has(String member) {
    return members.containsKey(member);
  }

  /** {@return a member, whatever it is; null: it is null, or there is none} */
  Object get(String member) {
    return members.get(member);
  }

  /** {@return a member of the setup, whatever it is; null: it is null, or there is none} */
  Object setup(String member) {
    return get(RunRecord.SETUP) instanceof Map<?, ?> setup ? setup.get(member) : null;
  }

  /** {@return the own files that the setup names, with what else is said of them} */
  Optional<Map<?, ?>> ownFiles() {
    return setup("files") instanceof Map<?, ?> files ? Optional.of(files) : Optional.empty();
  }

  /**
   * {@return the files that a member lists; none where there is no such member}
   *
   * @throws org.prunepeft.io.RunDirectoryException if it is no list of files
   */
  public List<FileChecksum> files(String member) {
    return has(member)
        ? List.of(RunDirectory.member(file, members, member, FileChecksum[].class))
        : List.of();
  }

  /**
   * {@return the base model}
   *
   * @throws org.prunepeft.io.RunDirectoryException if there is none
   */
  EncoderConfig encoder() {
    return RunDirectory.member(file, members, RunRecord.ENCODER, EncoderConfig.class);
  }
}
