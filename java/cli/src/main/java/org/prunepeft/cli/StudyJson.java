package org.prunepeft.cli;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.RunContents;
import org.prunepeft.cli.StudyFiles.Rate;
import org.prunepeft.io.BoundedFile;
import org.prunepeft.io.DamagedRunException;
import org.prunepeft.io.FileChecksum;
import org.prunepeft.io.RunDirectoryException;
import org.prunepeft.report.SignedObject;
import org.prunepeft.study.Arm;
import org.prunepeft.study.ComparisonTable;
import org.prunepeft.study.Interval;
import org.prunepeft.study.MethodComparison;
import org.prunepeft.study.OverallTable;
import org.prunepeft.study.TaskAndModel;
import org.prunepeft.text.Reason;

/** The tables of a study for programs, and for pages. */
final class StudyJson {
  /** Grows when an older reader would take a member for something else. */
  static final int FORMAT = 1;

  /** Far more than the tables of any study have. */
  private static final int MOST = 100_000_000;

  private static final String REMEDY = "prunepeft study STUDY.yaml --collect writes it anew";

  /**
   * The member that has size and SHA-256 of the files that were written with it, by their names.
   */
  static final String FILES = "files";

  /** All that a study writes of its runs together. */
  static final List<String> ALL =
      List.of(
          StudyFiles.TABLES,
          StudyFiles.RUNS,
          StudyFiles.JSON,
          StudyCosts.TABLES,
          StudyCosts.RUNS,
          StudyCosts.JSON);

  private static final JsonMapper JSON =
      JsonMapper.builder()
          .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
          .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
          .build();

  private static final TypeReference<Map<String, Object>> OBJECT = new TypeReference<>() {};

  private StudyJson() {}

  /**
   * @param beside what the files hold that are written with it, whose checksums it keeps
   */
  static String of(
      Study study,
      List<ComparisonTable> tables,
      List<OverallTable> overall,
      List<Rate> rates,
      List<String> missing,
      Map<String, String> beside) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("format", FORMAT);
    map.put("study", study.name());
    map.put("seeds", study.seeds());
    map.put("tables", tables.stream().map(StudyJson::table).toList());
    map.put("overall", overall.stream().map(StudyJson::overall).toList());
    map.put("learning_rates", rates.stream().map(StudyJson::rate).toList());
    map.put("missing", missing);
    map.put(FILES, checksums(beside));
    return SignedObject.text(StudyFiles.JSON, map);
  }

  /** {@return size and SHA-256 of files by their names} */
  static Map<String, Object> checksums(Map<String, String> files) {
    Map<String, Object> map = new LinkedHashMap<>();
    files.forEach((name, text) -> map.put(name, checksum(text)));
    return map;
  }

  private static Map<String, Object> checksum(String text) {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    MessageDigest digest = FileChecksum.digest();
    digest.update(bytes);
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("bytes", bytes.length);
    map.put("sha256", FileChecksum.hex(digest));
    return map;
  }

  /**
   * {@return what a study's directory says, with its costs as a member where they are there; empty:
   * it is none}
   *
   * @throws RunDirectoryException if a file can't be read, is of a newer format, lacks a member
   *     that the page needs, or was changed since it was written, or was written at another time
   *     than the others; names it
   */
  static Optional<JsonNode> read(Path directory) {
    Optional<Content> read = read(directory.resolve(StudyFiles.JSON), StudyShape.STUDY);
    if (read.isEmpty()) {
      return Optional.empty();
    }
    Content study = read.get();
    requireBeside(study, Optional.empty());
    read(directory.resolve(StudyCosts.JSON), StudyShape.COSTS)
        .ifPresent(
            costs -> {
              requireBeside(costs, read);
              costs.object.remove(FILES);
              study.object.set("costs", costs.object);
            });
    study.object.remove(FILES);
    return Optional.of(study.object);
  }

  /**
   * What a file was when it was read: another may have come into its place since.
   *
   * @param sum of its bytes
   */
  private record Content(FileChecksum sum, ObjectNode object) {
    String name() {
      return sum.file().getFileName().toString();
    }
  }

  /**
   * {@return a study's tables for people; empty: there are none}
   *
   * @throws RunDirectoryException as {@link #read} does
   * @throws IOException if they can't be read
   */
  static Optional<String> tables(Path directory) throws IOException {
    Path file = directory.resolve(StudyFiles.TABLES);
    if (!Files.isRegularFile(file)) {
      return Optional.empty();
    }
    read(directory.resolve(StudyFiles.JSON), StudyShape.STUDY)
        .ifPresent(study -> requireBeside(study, Optional.empty()));
    return Optional.of(BoundedFile.text(BoundedFile.regular(file), MOST));
  }

  /**
   * Checks that the files that were written with one hold what they did then. One that is gone is
   * passed over, and so is what the file does not name, as of earlier versions.
   *
   * @param with has their checksums
   * @param read one of them that was read already
   */
  private static void requireBeside(Content with, Optional<Content> read) {
    for (String beside : ALL) {
      JsonNode said = with.object.path(FILES).path(beside);
      Path file = with.sum.file().resolveSibling(beside);
      if (said.isMissingNode() || Files.notExists(file)) {
        continue;
      }
      FileChecksum then =
          new FileChecksum(file, said.path("bytes").asLong(), said.path("sha256").asText());
      FileChecksum now;
      try {
        now =
            read.isPresent() && read.get().name().equals(beside)
                ? read.get().sum
                : FileChecksum.of(file);
      } catch (IOException e) {
        throw new RunDirectoryException("can't read %s: %s".formatted(file, Reason.of(file, e)), e);
      }
      if (!now.holdsSame(then)) {
        throw changed(
            file,
            "it has %s, but %s was written with one that had %s"
                .formatted(now.content(), with.name(), then.content()));
      }
    }
  }

  private static Optional<Content> read(Path file, JsonShape shape) {
    if (Files.notExists(file)) {
      return Optional.empty();
    }
    try {
      byte[] bytes = BoundedFile.read(BoundedFile.regular(file), MOST);
      JsonNode read = JSON.readTree(bytes);
      JsonShape.NUMBER.require("format", read.path("format"));
      if (read.get("format").asInt() != FORMAT) {
        throw new RunDirectoryException(
            "%s has format %s, but this version of PrunePEFT reads %d; take the version that wrote it"
                .formatted(file, read.get("format"), FORMAT));
      }
      Optional<String> difference =
          SignedObject.difference(file.getFileName().toString(), JSON.convertValue(read, OBJECT));
      if (difference.isPresent()) {
        throw changed(file, difference.get());
      }
      shape.require("", read);
      ObjectNode object = (ObjectNode) read;
      object.remove(SignedObject.CHECKSUM);
      return Optional.of(new Content(FileChecksum.of(file, bytes), object));
    } catch (JsonProcessingException e) {
      throw damaged(file, e.getOriginalMessage(), e);
    } catch (IllegalArgumentException e) {
      throw damaged(file, e.getMessage(), e);
    } catch (IOException e) {
      throw new RunDirectoryException("can't read %s: %s".formatted(file, Reason.of(file, e)), e);
    }
  }

  private static RunDirectoryException changed(Path file, String how) {
    return new DamagedRunException(
        "%s is damaged or was changed: %s; %s".formatted(file, how, REMEDY));
  }

  private static RunDirectoryException damaged(Path file, String reason, Exception e) {
    return new RunDirectoryException("%s is damaged: %s; %s".formatted(file, reason, REMEDY), e);
  }

  /** The directories of the runs that a directory is to show: of a study those it compares. */
  static List<Path> runs(Path directory) {
    if (Files.notExists(directory.resolve(StudyFiles.JSON))) {
      return RunContents.directories(directory);
    }
    Path compared = directory.resolve(PlannedRun.COMPARED);
    return Files.isDirectory(compared) ? RunContents.directories(compared) : List.of();
  }

  static Map<String, Object> taskAndModel(TaskAndModel where) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("task", where.task());
    map.put("model", where.model());
    return map;
  }

  private static Object table(ComparisonTable table) {
    Map<String, Object> map = taskAndModel(table.taskAndModel());
    map.put("budget", table.budget());
    map.put("metric", table.metric().key());
    map.put("label", table.metric().label());
    map.put("percent", ReportData.percent(table.metric()));
    List<Object> rows = new ArrayList<>();
    for (ComparisonTable.MethodResult row : table.rows()) {
      Map<String, Object> one = arm(row.arm());
      one.put("learning_rate", row.runs().get(0).rate());
      one.put("by_seed", row.bySeed());
      one.put("mean", row.test().mean());
      one.put("standard_deviation", row.test().count() == 1 ? null : row.test().deviation());
      one.put("interval", interval(row.test().interval()));
      one.put("parameters", row.parameters());
      rows.add(one);
    }
    map.put("rows", rows);
    map.put("comparisons", table.comparisons().stream().map(StudyJson::comparison).toList());
    return map;
  }

  private static Object overall(OverallTable table) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("budget", table.budget());
    List<Object> rows = new ArrayList<>();
    for (OverallTable.MethodRank row : table.rows()) {
      Map<String, Object> one = arm(row.arm());
      one.put("tables", row.tables());
      one.put("ranked", row.ranked());
      one.put("rank", number(row.rank()));
      one.put("mean", row.mean());
      rows.add(one);
    }
    map.put("rows", rows);
    map.put("comparisons", table.comparisons().stream().map(StudyJson::comparison).toList());
    return map;
  }

  static Map<String, Object> arm(Arm arm) {
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("method", arm.method());
    map.put("budget", arm.budget());
    return map;
  }

  private static Object comparison(MethodComparison one) {
    Map<String, Object> map = arm(one.arm());
    map.put("to", one.other().method());
    map.put("pairs", one.difference().pairs());
    map.put("difference", one.difference().mean());
    map.put("student", interval(one.difference().student()));
    map.put("bootstrap", interval(one.difference().bootstrap()));
    map.put("of_seeds", interval(one.difference().bySeed()));
    map.put("p", number(one.difference().p()));
    map.put("p_holm", number(one.adjusted()));
    map.put(
        "shows",
        switch (one.conclusion()) {
          case BETTER -> "better";
          case WORSE -> "worse";
          case NO_DIFFERENCE -> null;
        });
    map.put(
        "why_unknown",
        one.difference().unknown() == null ? null : one.difference().unknown().words());
    return map;
  }

  private static Object rate(Rate rate) {
    Map<String, Object> map = taskAndModel(rate.run().taskAndModel());
    map.putAll(arm(rate.run().arm()));
    map.put("learning_rate", rate.run().rate());
    map.put("metric", rate.metric().key());
    map.put("tried", rate.tried());
    return map;
  }

  private static List<Double> interval(Interval interval) {
    return interval == null ? null : List.of(interval.low(), interval.high());
  }

  private static Double number(double value) {
    return Double.isNaN(value) ? null : value;
  }
}
