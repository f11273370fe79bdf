package org.prunepeft.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The values of a call. */
record Arguments(List<Object> positional, Map<String, Object> named) {
  /** With one more in front: what a filter, a test or a method is applied to. */
  Arguments after(Object first) {
    List<Object> all = new ArrayList<>(positional.size() + 1);
    all.add(first);
    all.addAll(positional);
    return new Arguments(all, named);
  }

  /** Without the first so many. */
  Arguments from(int index) {
    return new Arguments(positional.subList(index, positional.size()), named);
  }
}
