# What a packager and a newcomer type. Cargo does the building; this file only says where things go.

PREFIX ?= /usr
DESTDIR ?=
SBINDIR ?= $(PREFIX)/sbin
LIBDIR ?= $(PREFIX)/lib/dkms
SYSCONFDIR ?= /etc
STATEDIR ?= /var/lib/dkms
MANDIR ?= $(PREFIX)/share/man
BASH_COMPLETIONS ?= $(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS ?= $(PREFIX)/share/zsh/site-functions
FISH_COMPLETIONS ?= $(PREFIX)/share/fish/vendor_completions.d
CARGO ?= cargo
# Empty where other versions of the crates are at hand than those that Cargo.lock names.
CARGO_LOCKED ?= --locked
INSTALL ?= install
DEB_DIR ?= target/deb
DIST_DIR ?= target/dist
SOURCE_DIR ?= target/source

# Where the release programs are taken from; a packager who has built them elsewhere sets PROGRAM_DIR and BUILT=yes.
CARGO_TARGET_DIR ?= target
PROGRAM_DIR ?= $(CARGO_TARGET_DIR)/release
BUILT ?= no
export CARGO_TARGET_DIR

# The names under which callers reach dkms-hooks by path.
HOOK_PROGRAMS = boot common.postinst dkms_autoinstaller hand-back header-postinst initramfs initramfs-modules kernel-install \
	kernel-postinst kernel-preinst kernel-prerm preflight-apt preflight-dnf \
	preflight-pacman preflight-timer
KERNEL_EVENTS = preinst postinst prerm header_postinst

SHELL_FILES = $(wildcard kernel-postinst.d/*) .ci/run tests/run \
	$(wildcard tests/lib/*.sh tests/system/run tests/system/*.sh tests/compat/run tests/compat/*.sh \
	tests/cases/run tests/bench/run tests/foreign/run tests/bench/*.sh) \
	tests/fixtures/escape.sh tests/lib/need packaging/demo packaging/make-deb packaging/make-dist packaging/make-source \
	packaging/debian/dkms-autopkgtest packaging/debian/fill-scripts $(wildcard packaging/debian/*.in) $(filter-out %/control,$(wildcard packaging/debian/tests/*)) \
	$(wildcard src/archive/package/data/*.p*) $(wildcard initramfs-tools/*) packaging/dracut/module-setup.sh packaging/mkinitcpio/dkms packaging/kernel-install/40-dkms.install packaging/arch/dkms-alpm

# Configuration that is sourced by sh: nothing in it is used there, and it carries no first line.
SHELL_CONFS = packaging/framework.conf packaging/autoinstall_all_kernels.conf

# Snippets that a harness sources, in words that it defines.
SHELL_SCENARIOS = $(wildcard tests/compat/scenarios/*.sh)

.PHONY: all install deb dist source check documents test test-slow demo bench lint fuzz clean

all:
ifneq ($(BUILT),yes)
	$(CARGO) build --release $(CARGO_LOCKED)
endif

install: all
	$(INSTALL) -d $(DESTDIR)$(SBINDIR) $(DESTDIR)$(LIBDIR) $(DESTDIR)$(STATEDIR) \
		$(DESTDIR)$(SYSCONFDIR)/dkms/framework.conf.d
	$(INSTALL) -m 755 $(PROGRAM_DIR)/dkms $(DESTDIR)$(SBINDIR)/dkms
	$(INSTALL) -m 755 $(PROGRAM_DIR)/dkms-hooks $(DESTDIR)$(LIBDIR)/dkms-hooks
	$(INSTALL) -m 755 $(PROGRAM_DIR)/dkms-cc $(DESTDIR)$(LIBDIR)/dkms-cc
	for program in $(HOOK_PROGRAMS); do ln -sf dkms-hooks $(DESTDIR)$(LIBDIR)/$$program || exit 1; done
	$(INSTALL) -m 755 packaging/debian/dkms-autopkgtest $(DESTDIR)$(LIBDIR)/dkms-autopkgtest
	for event in $(KERNEL_EVENTS); do \
		$(INSTALL) -d $(DESTDIR)$(SYSCONFDIR)/kernel/$$event.d && \
		$(INSTALL) -m 755 kernel-postinst.d/$$event $(DESTDIR)$(SYSCONFDIR)/kernel/$$event.d/dkms || exit 1; \
	done
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/share/initramfs-tools/hooks
	$(INSTALL) -m 755 initramfs-tools/dkms $(DESTDIR)$(PREFIX)/share/initramfs-tools/hooks/dkms
	$(INSTALL) -D -m 644 initramfs-tools/conf-hook $(DESTDIR)$(PREFIX)/share/initramfs-tools/conf-hooks.d/dkms
	$(INSTALL) -D -m 755 packaging/dracut/module-setup.sh $(DESTDIR)$(PREFIX)/lib/dracut/modules.d/01dkms/module-setup.sh
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)$(PREFIX)/lib/kernel/install.d
	for unit in dkms.service dkms-preflight.service dkms-preflight.timer; do \
		$(INSTALL) -m 644 packaging/systemd/$$unit $(DESTDIR)$(PREFIX)/lib/systemd/system/$$unit || exit 1; \
	done
	$(INSTALL) -D -m 644 packaging/systemd/dkms.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/dkms.catalog
	$(INSTALL) -D -m 644 packaging/systemd/dkms.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/dkms.conf
	$(INSTALL) -d $(DESTDIR)$(PREFIX)/lib/systemd/user/graphical-session.target.wants
	for unit in dkms-notify.service dkms-notify.path; do \
		$(INSTALL) -m 644 packaging/systemd/$$unit $(DESTDIR)$(PREFIX)/lib/systemd/user/$$unit && \
		ln -sf ../$$unit $(DESTDIR)$(PREFIX)/lib/systemd/user/graphical-session.target.wants/$$unit || exit 1; \
	done
	$(INSTALL) -m 755 packaging/kernel-install/40-dkms.install $(DESTDIR)$(PREFIX)/lib/kernel/install.d/40-dkms.install
	for section in 5 7 8; do \
		$(INSTALL) -d $(DESTDIR)$(MANDIR)/man$$section && \
		$(INSTALL) -m 644 packaging/man/*.$$section $(DESTDIR)$(MANDIR)/man$$section/ || exit 1; \
	done
	$(INSTALL) -d $(DESTDIR)$(BASH_COMPLETIONS) $(DESTDIR)$(ZSH_COMPLETIONS) $(DESTDIR)$(FISH_COMPLETIONS)
	$(INSTALL) -m 644 packaging/completions/dkms.bash $(DESTDIR)$(BASH_COMPLETIONS)/dkms
	$(INSTALL) -m 644 packaging/completions/_dkms $(DESTDIR)$(ZSH_COMPLETIONS)/_dkms
	$(INSTALL) -m 644 packaging/completions/dkms.fish $(DESTDIR)$(FISH_COMPLETIONS)/dkms.fish
	$(INSTALL) -m 644 packaging/framework.conf $(DESTDIR)$(SYSCONFDIR)/dkms/framework.conf

deb:
	DEB_DIR="$(DEB_DIR)" PROGRAM_DIR="$(PROGRAM_DIR)" BUILT="$(BUILT)" ./packaging/make-deb

# The tarball of a release.
dist:
	DIST_DIR="$(DIST_DIR)" ./packaging/make-dist

# The source package for Debian.
source:
	SOURCE_DIR="$(SOURCE_DIR)" ./packaging/make-source

# While writing: formatting, lints and the tests that take seconds.
check:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) test --locked

test:
	./tests/run

# What is made from the program: parts of dkms(8), of the completions and of docs/reference.md, and the picture of the screen.
documents:
	DKMS_WRITE_DOCUMENTS=1 $(CARGO) test --locked --lib document_is -- --test-threads=1
	DKMS_WRITE_DOCUMENTS=1 $(CARGO) test --locked --test cases picture_shows

# Every system call that fails or is the last one, races, and many generated dkms.conf files. SLOW names some of the former.
SLOW ?=
test-slow:
	DKMS_ORACLE_CONFS=20000 $(CARGO) test --locked --lib oracle
	$(CARGO) test --locked --test cases -- --ignored $(SLOW)

demo:
	./packaging/demo

bench:
	./tests/bench/run

# Needs cargo-fuzz and a nightly toolchain. What is found is kept in fuzz/artifacts, inputs that are new in fuzz/corpus.
FUZZ_SECONDS ?= 300
fuzz:
	for target in fuzz/targets/*.rs; do \
		$(CARGO) +nightly fuzz run -O "$$(basename "$$target" .rs)" -- -max_total_time=$(FUZZ_SECONDS) -timeout=20 || exit 1; \
	done

lint:
	$(CARGO) fmt --check
	$(CARGO) clippy --all-targets --locked -- -D warnings
	{ command -v shellcheck && command -v groff; } >/dev/null || { test "$$(id -u)" = 0 && ./tests/lib/need shellcheck groff-base; }
	shellcheck --external-sources $(SHELL_FILES)
	shellcheck --shell=bash packaging/completions/dkms.bash
	shellcheck --shell=bash --exclude=SC2034,SC2154,SC2164 packaging/arch/PKGBUILD
	groff -man -ww -z -Tutf8 packaging/man/*
	shellcheck --shell=sh --exclude=SC2016,SC2034,SC2154 $(SHELL_CONFS) $(SHELL_SCENARIOS)

clean:
	$(CARGO) clean
