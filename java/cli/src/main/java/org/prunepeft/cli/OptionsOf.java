package org.prunepeft.cli;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * The records that the options of a class are components of. An option whose field is called like a
 * component has the default of the record's {@code DEFAULT}, and {@link RecordOptions} carries its
 * value there and back.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.TYPE)
@interface OptionsOf {
  Class<? extends Record>[] value();
}
