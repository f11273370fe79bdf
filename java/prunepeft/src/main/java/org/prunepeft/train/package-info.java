/** How a training goes, and how good its result is: settings, predictions, measures. */
package org.prunepeft.train;
