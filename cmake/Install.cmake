# Install and export rules: casement:: targets for find_package(casement), casement.pc for pkg-config.
