package org.prunepeft.testing;

import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * A test, or a class of tests, that draws the same numbers from {@link TestSeed} in every run,
 * whatever the run's seed is. It is for three kinds of tests: those to which the numbers are a prop
 * only (a model's weights where a command's messages are looked at), those whose statement holds
 * for most draws, not for all (how far a training gets), and those for which a script of their own
 * draws others (files that are damaged, moments at which a process is killed).
 *
 * <p>On a class it covers all that is drawn there, in {@code @Nested} classes and in classes
 * derived from it. On a method it covers what is drawn for that test alone: in the method, in
 * fields and in {@code @BeforeEach}; but neither in {@code @BeforeAll} nor in the method of a
 * {@code @MethodSource}, which draw for the class.
 */
@Inherited
@Retention(RetentionPolicy.RUNTIME)
@Target({ElementType.METHOD, ElementType.TYPE})
public @interface FixedSeed {
  /** Why other numbers would show nothing more. */
  String value();
}
