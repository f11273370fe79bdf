package org.prunepeft.formats;

import java.io.IOException;
import java.util.List;
import org.prunepeft.io.RunDirectory;

/** A directory of adapter files that another library reads and writes. */
public interface AdapterFormat {
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
                    "unknown format '"
                        + name
                        + "'; there are "
                        + all().stream().map(AdapterFormat::name).toList()));
  }
}
