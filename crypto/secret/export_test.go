package secret

// TrustedOwner is the owner rule, for tests that do not run as root.
var TrustedOwner = trustedOwner
