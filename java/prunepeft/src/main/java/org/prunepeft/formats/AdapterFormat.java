package org.prunepeft.formats;

import static java.util.stream.Collectors.joining;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.prunepeft.files.RunDirectory;
import org.prunepeft.model.EncoderConfig;

/** A directory of adapter files that another library reads and writes. */
public interface AdapterFormat {
  /** The file that describes the adapter, in every format. */
  String CONFIG = "adapter_config.json";

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

  /**
   * Whether a directory is of this format.
   *
   * @param config the content of its {@value #CONFIG}
   */
  boolean recognises(Map<String, Object> config);

  /**
   * Reads an adapter.
   *
   * @param directory where its files are
   * @param config the content of its {@value #CONFIG}
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
   * @throws IllegalArgumentException if it is of none
   */
  static AdapterFormat of(Path directory, Map<String, Object> config) {
    return all().stream()
        .filter(format -> format.recognises(config))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    directory.resolve(CONFIG)
                        + " is neither PEFT's, with a peft_type, nor AdapterHub's, with model_type"
                        + " and config"));
  }

  /** All formats. */
  static List<AdapterFormat> all() {
    return List.of(new PeftFormat(), new AdapterHubFormat());
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
