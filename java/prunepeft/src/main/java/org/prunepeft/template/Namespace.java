package org.prunepeft.template;

import java.util.Map;

/** What {@code namespace()} makes: members that inner parts of a template can set. */
record Namespace(Map<Object, Object> members) {
  // Members may hold the namespace itself.
  @Override
  public boolean equals(Object other) {
    return this == other;
  }

  @Override
  public int hashCode() {
    return System.identityHashCode(this);
  }
}
