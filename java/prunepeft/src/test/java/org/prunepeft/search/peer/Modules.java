package org.prunepeft.search.peer;

import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.prunepeft.search.Candidate;
import org.prunepeft.search.SearchSpace;

/** Modules of made-up worlds. */
final class Modules {
  private Modules() {}

  /** Alike in size, named m0, m1 and so on, a layer each. */
  static SearchSpace alike(int count) {
    List<Candidate> modules = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      modules.add(new Candidate("m" + i, i, Candidate.LORA, 100));
    }
    return new SearchSpace(count, modules);
  }

  static List<String> names(Collection<Candidate> modules) {
    return modules.stream().map(Candidate::name).toList();
  }
}
