package org.prunepeft.template;

/**
 * A name or member that is not there: an empty text, an empty list and false, but it has no members
 * and can't be computed with.
 *
 * @param reason what is not there, as a sentence
 */
record Undefined(String reason) {
  Failure failure() {
    return new Failure(reason);
  }
}
