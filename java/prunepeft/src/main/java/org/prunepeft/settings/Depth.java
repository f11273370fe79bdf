package org.prunepeft.settings;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import java.util.stream.Stream;

/**
 * How deep the model was that modules were chosen for.
 *
 * @param layers of that model, 1 or more
 * @param mapped whether the modules are put at the same share of the depth of a model of another
 *     depth; false: that is refused
 */
public record Depth(int layers, boolean mapped) {
  private static final Pattern NAME = Pattern.compile("(encoder\\.layer\\.)([0-9]{1,9})(\\..+)");

  /**
   * The names of the modules in a model. In a deeper one each layer gets what the layer of that
   * model had in which its middle lies; in a flatter one each module goes to the layer in which the
   * middle of its own lies.
   *
   * @param names in the model that they were chosen for
   * @param of layers of the model that is to have them
   * @throws IllegalArgumentException if that is of another depth and they are not to be mapped
   */
  List<String> names(List<String> names, int of) {
    if (of == layers) {
      return names;
    }
    if (!mapped) {
      throw new IllegalArgumentException(
          "the modules were chosen for a model of %d layers, and this one has %d; --map-layers puts them at the same share of the depth"
              .formatted(layers, of));
    }
    return names.stream().flatMap(name -> mapped(name, of)).distinct().toList();
  }

  private Stream<String> mapped(String name, int of) {
    Matcher parts = NAME.matcher(name);
    if (!parts.matches()) {
      return Stream.of(name);
    }
    int layer = Integer.parseInt(parts.group(2));
    List<Integer> places = new ArrayList<>();
    if (of < layers) {
      places.add(place(layer, layers, of));
    } else {
      IntStream.range(0, of).filter(i -> place(i, of, layers) == layer).forEach(places::add);
    }
    return places.stream().map(place -> parts.group(1) + place + parts.group(3));
  }

  /** The layer of a model in which the middle of another's lies. */
  private static int place(int layer, int from, int to) {
    return (int) ((2L * layer + 1) * to / (2L * from));
  }
}
