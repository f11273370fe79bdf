package org.prunepeft.template;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** The values of a call. */
record PassedArguments(List<Object> positional, Map<String, Object> named) {
  /** With one more in front: what a filter, a test or a method is applied to. */
  PassedArguments after(Object first) {
    List<Object> all = new ArrayList<>(positional.size() + 1);
    all.add(first);
    all.addAll(positional);
    return new PassedArguments(all, named);
  }

  /** Without the first so many. */
  PassedArguments from(int index) {
    return new PassedArguments(positional.subList(index, positional.size()), named);
  }
}
