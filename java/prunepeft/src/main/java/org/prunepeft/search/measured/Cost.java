package org.prunepeft.search.measured;

import java.util.Collection;
import org.prunepeft.search.Candidate;

/** What a configuration costs, such as parameters or seconds; lower is better. */
public interface Cost {
  /** {@return a unique word for it, such as {@code parameters}} */
  String name();

  /**
   * {@return what the modules cost together, finite; more modules never cost less}
   *
   * @param modules those that are kept, in any order
   */
  double of(Collection<Candidate> modules);

  /**
   * {@return the part of it that no choice of modules changes, which a saving is not a share of; 0
   * unless it says otherwise}
   */
  default double fixed() {
    return 0;
  }

  /** {@return the number of trainable parameters, named {@code parameters}} */
  static Cost parameters() {
    return new ParameterCount();
  }

  /** Trainable parameters. */
  record ParameterCount() implements Cost {
    @Override
    public String name() {
      return "parameters";
    }

    @Override
    public double of(Collection<Candidate> modules) {
      return Candidate.total(modules);
    }
  }
}
