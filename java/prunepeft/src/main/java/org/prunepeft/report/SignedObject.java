package org.prunepeft.report;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import org.prunepeft.files.Manifest;
import org.prunepeft.files.RunDirectory;

/** An object of JSON whose last member is the checksum of the others, as runs write them. */
public final class SignedObject {
  /** The name of that member. */
  public static final String CHECKSUM = Manifest.OWN;

  private SignedObject() {}

  /**
   * {@return an object as JSON, indented, its last line ended, with the checksum of its members}
   *
   * @param name of the file that it is for
   * @param object such a checksum that it has counts for nothing
   * @throws IllegalArgumentException if it has what is no JSON
   */
  public static String text(String name, Map<String, ?> object) {
    return RunDirectory.format(name, Manifest.signed(name, object));
  }

  /**
   * {@return how an object's members differ from what its checksum says, both named; empty: they do
   * not, or it has none, as in files of earlier versions}
   *
   * @param name of its file
   */
  public static Optional<String> difference(String name, Map<String, ?> object) {
    return object.containsKey(CHECKSUM)
        ? Manifest.ownDifference(name, new LinkedHashMap<>(object))
        : Optional.empty();
  }
}
