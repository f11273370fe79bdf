package org.prunepeft.search.measured;

import java.util.ArrayList;
import java.util.BitSet;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;

/** The modules of a space by number, in its order, so that a subset is a set of bits. */
final class Pool {
  private final SearchSpace space;
  private final List<Candidate> modules;
  private final Map<Candidate, Integer> numbers = new HashMap<>();
  private final long[] sizes;
  private final int[] types;

  Pool(SearchSpace space) {
    this.space = space;
    modules = space.candidates();
    sizes = modules.stream().mapToLong(Candidate::parameters).toArray();
    List<String> words = space.types();
    types = modules.stream().mapToInt(module -> words.indexOf(module.type())).toArray();
    for (int i = 0; i < modules.size(); i++) {
      numbers.put(modules.get(i), i);
    }
  }

  SearchSpace space() {
    return space;
  }

  int count() {
    return modules.size();
  }

  Candidate module(int number) {
    return modules.get(number);
  }

  int layer(int number) {
    return modules.get(number).layer();
  }

  int type(int number) {
    return types[number];
  }

  int typeCount() {
    return space.types().size();
  }

  long size(int number) {
    return sizes[number];
  }

  long size(BitSet subset) {
    return subset.stream().mapToLong(number -> sizes[number]).sum();
  }

  BitSet all() {
    BitSet all = new BitSet();
    all.set(0, modules.size());
    return all;
  }

  /** Whether a subset is empty or all modules, far from what is to be chosen. */
  boolean isExtreme(BitSet subset) {
    return subset.isEmpty() || subset.cardinality() == count();
  }

  BitSet bits(Collection<Candidate> subset) {
    BitSet bits = new BitSet();
    subset.forEach(module -> bits.set(numbers.get(module)));
    return bits;
  }

  /** Sorted, because the space is. */
  List<Candidate> modules(BitSet subset) {
    List<Candidate> listed = new ArrayList<>();
    subset.stream().forEach(number -> listed.add(modules.get(number)));
    return listed;
  }

  /** The lowest layer that holds a module: all layers from it on take part in a backward pass. */
  int lowestLayer(BitSet subset) {
    return subset.isEmpty() ? space.layers() : layer(subset.nextSetBit(0));
  }

  /** Whether no other module fits into what is left of a budget. */
  boolean fills(BitSet subset, long budget) {
    long left = budget - size(subset);
    for (int i = subset.nextClearBit(0); i < count(); i = subset.nextClearBit(i + 1)) {
      if (sizes[i] <= left) {
        return false;
      }
    }
    return left >= 0;
  }
}
