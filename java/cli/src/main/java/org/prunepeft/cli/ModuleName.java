package org.prunepeft.cli;

import java.util.Collection;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.prunepeft.search.Candidate;
import org.prunepeft.text.Spelling;

/**
 * A module by its name, such as {@code encoder.layer.3.lora}.
 *
 * @param name the whole of it
 * @param layer from 0; -1: the name has none
 * @param column what tells it from others of its layer: lora, adapter, lora.query
 */
record ModuleName(String name, int layer, String column) {
  private static final Pattern LAYER = Pattern.compile("(?:.*\\.)?layers?\\.(\\d{1,6})\\.(.+)");

  static ModuleName of(Candidate module) {
    ModuleName read = of(module.name());
    return read.layer == module.layer()
        ? read
        : new ModuleName(module.name(), module.layer(), module.type());
  }

  static ModuleName of(String name) {
    Matcher layer = LAYER.matcher(name);
    return layer.matches()
        ? new ModuleName(name, Integer.parseInt(layer.group(1)), layer.group(2))
        : new ModuleName(name, -1, name);
  }

  /** The short form, such as {@code 3.lora}. */
  String brief() {
    return layer < 0 ? name : layer + "." + column;
  }

  /**
   * {@return the module that a user means}
   *
   * @param word its name, or a short form: 3.lora, layer.3.lora
   * @throws IllegalArgumentException if there is none; the message suggests the nearest
   */
  static ModuleName find(String word, Collection<String> modules) {
    List<ModuleName> known = modules.stream().map(ModuleName::of).toList();
    String plain = word.replaceFirst("^.*layers?\\.", "");
    return known.stream()
        .filter(module -> module.name.equals(word) || module.brief().equalsIgnoreCase(plain))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    Spelling.unknown(
                        "module", plain, known.stream().map(ModuleName::brief).toList())));
  }
}
