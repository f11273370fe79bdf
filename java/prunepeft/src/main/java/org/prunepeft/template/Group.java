package org.prunepeft.template;

import java.util.Arrays;
import java.util.List;

/** What {@code groupby} makes: a tuple of a value and the elements that have it, with names. */
final class Group extends Tuple {
  Group(Object grouper, List<Object> list) {
    super(Arrays.asList(grouper, list));
  }

  Object member(String name) {
    return switch (name) {
      case "grouper" -> get(0);
      case "list" -> get(1);
      default -> new Undefined("a tuple has no member '%s'", name);
    };
  }
}
