package org.prunepeft.formats;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.model.EncoderConfig;

/** A directory of adapter files that other libraries read and write. */
public interface AdapterFormat {
  /** The file that describes the adapter, in the formats of Python's libraries. */
  String CONFIG = "adapter_config.json";

  /** Those that an import reads where they are there, of all formats. */
  List<String> FILES =
      List.of(
          CONFIG,
          PeftFormat.WEIGHTS,
          HeadFile.NAME,
          AdapterHubFormat.WEIGHTS,
          AdapterHubFormat.HEAD_CONFIG,
          AdapterHubFormat.HEAD_WEIGHTS,
          GgufFormat.FILE);

  /** Its name on the command line. */
  String name();

  /**
   * Checks that the format can hold an adapter whole.
   *
   * @throws IllegalArgumentException if it cannot; says why, and what to do instead
   */
  void require(TrainedAdapter adapter);

  /**
   * Writes an adapter.
   *
   * @param directory open for writing
   * @throws IllegalArgumentException as {@link #require} does; nothing is written then
   * @throws IOException if writing fails
   */
  void write(TrainedAdapter adapter, RunDirectory directory) throws IOException;

  /** Whether the base model's tokenizer belongs beside it. */
  default boolean hasTokenizer() {
    return true;
  }

  /**
   * Whether a directory is of this format.
   *
   * @param config the content of its {@value #CONFIG}; empty if it has none
   */
  boolean recognises(Path directory, Map<String, Object> config);

  /**
   * Whether an adapter is a language model's, which has no head of its own.
   *
   * @param directory where its files are
   * @param config the content of its {@value #CONFIG}; empty if it has none
   * @param decoder whether the model that it is for is one; asked where the files do not say all
   * @throws IOException if reading fails
   */
  default boolean ofLanguageModel(
      Path directory, Map<String, Object> config, BooleanSupplier decoder) throws IOException {
    return false;
  }

  /**
   * Reads an adapter.
   *
   * @param directory where its files are
   * @param config the content of its {@value #CONFIG}; empty if it has none
   * @param encoder the model that it is for
   * @param labels names of the classes
   * @throws IllegalArgumentException if a setting is not supported; names it
   * @throws org.prunepeft.io.FormatException if a tensor is missing, too many, or of another shape
   * @throws IOException if reading fails
   */
  TrainedAdapter read(
      Path directory, Map<String, Object> config, EncoderConfig encoder, List<String> labels)
      throws IOException;

  /**
   * The format of a directory.
   *
   * @param config the content of its {@value #CONFIG}; empty if it has none
   * @throws IllegalArgumentException if it is of none
   */
  static AdapterFormat of(Path directory, Map<String, Object> config) {
    return all().stream()
        .filter(format -> format.recognises(directory, config))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    config.isEmpty()
                        ? "%s is no adapter directory: it has no %s, and no %s"
                            .formatted(directory, CONFIG, GgufFormat.FILE)
                        : directory.resolve(CONFIG)
                            + " is neither PEFT's, with a peft_type, nor AdapterHub's, with"
                            + " model_type and config"));
  }

  /** All formats. */
  static List<AdapterFormat> all() {
    return List.of(new PeftFormat(), new AdapterHubFormat(), new GgufFormat());
  }

  /**
   * @throws IllegalArgumentException if there is none of that name
   */
  static AdapterFormat byName(String name) {
    return all().stream()
        .filter(format -> format.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "unknown format '%s'; there are %s and %s"
                        .formatted(
                            name,
                            all().stream().map(AdapterFormat::name).collect(joining(", ")),
                            OnnxModel.FORMAT)));
  }
}
