/**
 * What a run says: how far it is, its metrics, what it found, and the versions that it ran with.
 */
package org.prunepeft.report;
