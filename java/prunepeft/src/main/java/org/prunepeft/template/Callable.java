package org.prunepeft.template;

/** A value that can be called: a function, a method of a value, a macro. */
interface Callable {
  /** What messages call it. */
  String name();

  Object call(Render render, PassedArguments arguments);
}
