/** Version of the packages, which are released together. */
export const CORE_VERSION = '0.1.0'
