//! Each construct that real files hold: who evaluates it, and to what.

use super::World;
use crate::conf::eval::Evaluator::{self, Bash, Native};
use rstest::rstest;

#[rstest]
#[case::value("MAKE=make", Native, "make")]
#[case::literal("MAKE=\"make all\"", Native, "make all")]
#[case::double_quotes(
    "MAKE=\"make -C $kernel_source_dir\"",
    Native,
    "make -C /lib/modules/6.1.0-49-amd64/build"
)]
#[case::element("MAKE[0]=a", Native, "a")]
#[case::braced("MAKE=${arch}x", Native, "x86_64x")]
#[case::unquoted("MAKE=a-$arch.b", Native, "a-x86_64.b")]
#[case::comment_line("# MAKE=x\n  # y\nMAKE=a", Native, "a")]
#[case::inline_comment("MAKE=a # b", Native, "a")]
#[case::hash_in_a_word("MAKE=a#b", Native, "a#b")]
#[case::continuation_inside_quotes("MAKE=\"a \\\n b\"", Native, "a b")]
#[case::continuation_outside("MAKE=a\\\nb", Native, "ab")]
#[case::continuation_in_a_name("MAKE=\"$ar\\\nch\"", Bash, "x86_64")]
#[case::indented("\t  MAKE=a", Native, "a")]
#[case::element_value("X[3]=a\nMAKE=\"${X[3]}\"", Native, "a")]
#[case::single_quotes("MAKE='make $arch'", Native, "make x86_64")]
#[case::newline_in_quotes("MAKE=\"a\n\tb\"", Native, "a b")]
#[case::backslash_kept("MAKE=\"^6\\.1$\"", Native, "^6\\.1$")]
#[case::escaped_quote("MAKE=\"a X=\\\"b\\\"\"", Native, "a X=b")]
#[case::escaped_dollar("MAKE=\"a \\$arch\"", Native, "a x86_64")]
#[case::own_variable("x=b\nMAKE=\"a $x\"", Native, "a b")]
#[case::own_variable_in_the_second_reading("x=b\nMAKE='a $x'", Native, "a ")]
#[case::environment("MAKE=$HOME", Native, "/nonexistent")]
#[case::unset_variable("MAKE=\"a$kernel_src_dir\"", Native, "a")]
#[case::list("MAKE=(a \"b c\" [4]=d e)", Native, "a")]
#[case::list_over_lines("MAKE=( # x\n a\n b # c\n)", Native, "a")]
#[case::list_append("MAKE=(a)\nMAKE+=(b)", Native, "a")]
#[case::append("MAKE=a\nMAKE+=' b'", Native, "a b")]
#[case::element_append("MAKE[0]=a\nMAKE[0]+=b", Native, "ab")]
#[case::default("MAKE=\"${x:-a b}\"", Native, "a b")]
#[case::default_unquoted("MAKE=${x:-a b}", Native, "a b")]
#[case::default_of_a_set_one("x=\nMAKE=\"${x-a}b\"", Native, "b")]
#[case::assigning_default("MAKE=\"${x:=a}$x\"", Native, "aa")]
#[case::assigning_default_plain("MAKE=\"${x=a}$x\"", Native, "aa")]
#[case::replacement("MAKE=\"a${parallel_jobs+ -j$parallel_jobs}\"", Native, "a -j2")]
#[case::replacement_colon("MAKE=\"a${x:+b}\"", Native, "a")]
#[case::suffix("MAKE=${kernelver%-*}", Native, "6.1.0-49")]
#[case::longest_suffix("MAKE=${kernelver%%-*}", Native, "6.1.0")]
#[case::prefix("MAKE=${kernelver#*.}", Native, "1.0-49-amd64")]
#[case::longest_prefix("MAKE=${kernelver##*-}", Native, "amd64")]
#[case::pattern_in_brackets("MAKE=${kernelver%%[-]*}", Bash, "6.1.0")]
#[case::substitution("MAKE=${kernelver/-/+}", Native, "6.1.0+49-amd64")]
#[case::substitutions("MAKE=${kernelver//-/_}", Native, "6.1.0_49_amd64")]
#[case::deletion("MAKE=${kernelver//-}", Native, "6.1.049amd64")]
#[case::lowercase("x=AbC\nMAKE=${x,,}", Native, "abc")]
#[case::uppercase("x=AbC\nMAKE=${x^^}", Native, "ABC")]
#[case::length("MAKE=${#arch}", Bash, "6")]
#[case::indirect("x=arch\nMAKE=${!x}", Bash, "x86_64")]
#[case::nested_default("MAKE=${x:-${y:-$arch}}", Native, "x86_64")]
#[case::quoted_default("MAKE=\"${x:-\"a\"}\"", Bash, "a")]
#[case::substring("MAKE=${arch:1:2}", Bash, "86")]
#[case::several_on_a_line("x=a MAKE=$x", Native, "a")]
#[case::semicolon("x=a; MAKE=$x;", Native, "a")]
#[case::no_final_newline("MAKE=a", Native, "a")]
#[case::empty_value("MAKE=", Native, "")]
#[case::dollar_at_the_end("MAKE=a$", Native, "a$")]
#[case::tilde("MAKE=~/x", Bash, "/nonexistent/x")]
#[case::tilde_in_a_version("MAKE=1.0~rc1", Native, "1.0~rc1")]
#[case::braces("MAKE={a,b}", Native, "{a,b}")]
#[case::braces_in_a_list("MAKE=({a,b})", Bash, "a")]
#[case::wildcard("MAKE=/*bin", Native, "/*bin")]
#[case::wildcard_in_a_list("MAKE=(/nonexist*)", Bash, "/nonexist*")]
#[case::variable_in_a_list("x='a b'\nMAKE=($x)", Bash, "a")]
#[case::quoted_variable_in_a_list("x='a b'\nMAKE=(\"$x\")", Native, "a b")]
#[case::ansi_quotes("MAKE=$'a\\tb'", Native, "a b")]
#[case::ansi_octal("MAKE=$'a\\101'", Bash, "aA")]
#[case::locale_quotes("MAKE=$\"a\"", Bash, "a")]
#[case::utf8("MAKE='für $arch'", Native, "für x86_64")]
#[case::crlf("x=a\r\nMAKE=\"b $x\"\r\n", Native, "b a")]
#[case::bom("\u{feff}x=a\nMAKE=b", Bash, "b")]
#[case::command_substitution("MAKE=\"a $(echo b)\"", Bash, "a b")]
#[case::backquotes("MAKE=`echo b`", Bash, "b")]
#[case::late_command_substitution("MAKE='make -j$(nproc)'", Bash, "make -j2")]
#[case::late_substitution_sees_no_own_variable("x=b\nMAKE='a$(echo $x $arch)'", Bash, "ax86_64")]
#[case::test_and("[ 1 -gt 0 ] && MAKE=a", Bash, "a")]
#[case::if_("if true; then MAKE=a; fi", Bash, "a")]
#[case::case("case $arch in x86*) MAKE=a;; esac", Bash, "a")]
#[case::for_("for i in a b; do MAKE=$i; done", Bash, "b")]
#[case::function("f() { MAKE=a; }\nf", Bash, "a")]
#[case::double_brackets("[[ $arch =~ ^x ]] && MAKE=a", Bash, "a")]
#[case::extglob("[[ yes == @(y|yes) ]] && MAKE=a", Bash, "a")]
#[case::computed_index("i=0\nMAKE[$i]=a", Bash, "a")]
#[case::computed_index_by_length("MAKE[${#MAKE[@]}]=a", Bash, "a")]
#[case::arithmetic("MAKE=$((1 + 1))", Bash, "2")]
#[case::let_("let x=1+1\nMAKE=$x", Bash, "2")]
#[case::local("local nn=a\nMAKE=$nn", Bash, "a")]
#[case::declare("declare MAKE=a", Bash, "a")]
#[case::export("export MAKE=a", Bash, "a")]
#[case::unset("MAKE=a\nx=b\nunset x\nMAKE=\"a$x\"", Bash, "a")]
#[case::here_string("read x <<< a\nMAKE=$x", Bash, "a")]
#[case::here_document("read x <<E\na\nE\nMAKE=$x", Bash, "a")]
#[case::pipeline("echo a | grep -q a && MAKE=b", Bash, "b")]
#[case::return_("MAKE=a\nreturn\nMAKE=b", Bash, "a")]
#[case::exit_status("true\nMAKE=a$?", Bash, "a0")]
#[case::exit_status_alone("MAKE=a$?", Bash, "a0")]
#[case::shell_variable("MAKE=\"a${BASH_VERSINFO[0]+b}\"", Bash, "ab")]
#[case::ifs("IFS=/\nMAKE=a/b", Bash, "a b")]
#[case::path("PATH=/x\nMAKE=a", Bash, "a")]
#[case::syntax_error("MAKE=a\n)\nMAKE=b", Bash, "a")]
#[case::late_conflict_marker("MAKE=a\n<<<<<<< HEAD\nMAKE=b", Bash, "a")]
#[case::dkms_function("MAKE=$(override_dest_module_location /x)", Bash, "/x")]
#[case::dkms_function_late("MAKE='$(override_dest_module_location /x)'", Bash, "/x")]
#[case::half_a_command("MAKE=a b", Bash, "")]
#[case::self_reference_in_a_list("MAKE=(a)\nMAKE=(\"${MAKE[0]}b\")", Bash, "ab")]
#[case::octal_index("x[010]=a\nMAKE=${x[8]}", Bash, "a")]
#[case::negative_index("MAKE=(a)\nMAKE[-1]=b", Bash, "b")]
fn a_construct_is_evaluated(#[case] text: &str, #[case] evaluator: Evaluator, #[case] make: &str) {
    let evaluation = World::new().evaluate(text);
    assert_eq!(evaluation.values.get("MAKE").unwrap_or_default(), make, "{evaluation:?}");
    assert_eq!(evaluation.evaluator, evaluator, "{evaluation:?}");
}

#[test]
fn override_sets_single_indices() {
    for tail in ["", "true\n"] {
        let mut world = World::new();
        let inherited = [("MAKE", 0, "a"), ("PATCH", 0, "x"), ("PATCH", 2, "z"), ("CLEAN", 0, "keep")];
        world.scope.inherited = inherited.into_iter().collect();
        let evaluation =
            world.evaluate(format!("PATCH=\nPATCH[1]=\"$MAKE b\"\nMAKE=\"x \\\"a b\\\"\"\n{tail}"));
        let patches: Vec<_> = evaluation.values.elements("PATCH").collect();
        assert_eq!(patches, [(0, ""), (1, "a b"), (2, "z")]);
        assert_eq!(evaluation.values.get("CLEAN"), Some("keep"));
        // The new value is lost, so the inherited one stays.
        assert_eq!(evaluation.values.get("MAKE"), Some("a"));
        assert_eq!(evaluation.lost, ["MAKE"]);
    }
}

#[test]
fn directive_variables_override_the_file() {
    for tail in ["", "true\n"] {
        let mut world = World::new();
        let variables = [("DKMS_DIRECTIVE_ENV", "source_tree=/s=cut"), ("DKMS_DIRECTIVE_BAD", "MAKE=a b")];
        world.scope.environment.extend(super::map(&variables));
        let evaluation = world.evaluate(format!("DKMS_DIRECTIVE=CLEAN=x\nMAKE=m\nCLEAN=c\n{tail}"));
        assert_eq!(evaluation.values.get("CLEAN"), Some("x"));
        assert_eq!(evaluation.values.get("MAKE"), Some("m"));
        assert_eq!(evaluation.overrides, super::map(&[("source_tree", "/s")]));
    }
}

#[test]
fn whitelisted_names_of_the_environment_are_hidden() {
    for tail in ["", "true\n"] {
        let mut world = World::new();
        world.scope.environment.insert("MAKE".to_owned(), "env".to_owned());
        let evaluation = world.evaluate(format!("CLEAN=\"a$MAKE\"\n{tail}"));
        assert_eq!(evaluation.values.get("CLEAN"), Some("a"));
        assert_eq!(evaluation.values.get("MAKE"), None);
    }
}

#[test]
fn second_reading_sees_earlier_directives() {
    let evaluation = World::new().evaluate("PACKAGE_NAME=p\nCLEAN=late\nMAKE='$PACKAGE_NAME $CLEAN.'\n");
    assert_eq!(evaluation.values.get("MAKE"), Some("p ."));
}
