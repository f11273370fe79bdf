package org.prunepeft.template;

import java.util.AbstractList;
import java.util.Arrays;
import java.util.List;

/** A tuple: a list that is written in parentheses and equals no other kind of list. */
class Tuple extends AbstractList<Object> {
  private final List<Object> items;

  Tuple(List<Object> items) {
    this.items = items;
  }

  static Tuple of(Object... items) {
    return new Tuple(Arrays.asList(items));
  }

  @Override
  public Object get(int index) {
    return items.get(index);
  }

  @Override
  public int size() {
    return items.size();
  }
}
