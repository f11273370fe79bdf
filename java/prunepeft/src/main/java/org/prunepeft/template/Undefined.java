package org.prunepeft.template;

/**
 * A name or member that is not there: an empty text, an empty list and false, but it has no members
 * and can't be computed with.
 *
 * @param form what is not there, as a sentence; put together when it is asked for, as most are not
 */
record Undefined(String form, Object... parts) {
  Failure failure() {
    return new Failure("%s", reason());
  }

  String reason() {
    return form.formatted(parts);
  }
}
