%% @doc Dead letters that go back.
-module(primer_redrive_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1, member/0]).

all_test_() ->
    each([
        fun letters_go_back_and_are_counted/0,
        fun what_is_no_option_is_a_wrong_call/0,
        fun a_closed_member_answers_so/0
    ]).

letters_go_back_and_are_counted() ->
    Member = member(),
    {ok, Jobs} = primer:queue(Member, jobs),
    {ok, Dead} = primer:queue(Member, 'jobs.dead'),
    {ok, _} = primer:enqueue_many(Jobs, [<<"one">>, <<"two">>], #{headers => #{<<"kind">> => <<"x">>}}),
    {ok, Deliveries} = primer:'receive'(Jobs, #{max => 2, wait => 20_000}),
    [ok = primer:reject(Delivery, <<"as told">>) || Delivery <- Deliveries],
    None = #{matched => 2, moved => 0, refused => 0, skipped => 0, leased => 0, missing => []},
    Cause = #{<<"primer-cause">> => <<"rejected">>},
    ?assertEqual({ok, None}, primer:redrive(Dead, #{headers => Cause, dry_run => true})),
    {ok, #{messages := [#{id := Id}, _]}} = primer:browse(Dead),
    ?assertEqual({ok, None#{matched := 1, moved := 1}}, primer:redrive(Dead, #{ids => [Id]})),
    ?assertMatch({ok, #{moved := 1}}, primer:redrive(Dead, #{to => other, max => 5, timeout => 5_000})),
    {ok, Other} = primer:queue(Member, other),
    {ok, [Back]} = primer:'receive'(Jobs),
    {ok, [Moved]} = primer:'receive'(Other),
    ?assertMatch(#{body := <<"one">>, attempts := 1, headers := [{<<"kind">>, <<"x">>}]}, Back),
    ?assertMatch(#{body := <<"two">>, attempts := 1, headers := [{<<"kind">>, <<"x">>}]}, Moved),
    ?assertMatch({ok, #{matched := 0}}, primer:redrive(Dead)).

what_is_no_option_is_a_wrong_call() ->
    Member = member(),
    {ok, Dead} = primer:queue(Member, 'jobs.dead'),
    [
        ?assertMatch({error, {wrong_call, invalid_argument, #{number := 101}}}, primer:redrive(Dead, Options))
     || Options <- [
            #{ids => [<<"no id">>]}, #{ids => <<"none">>}, #{ids => [7]}, #{to => 'jobs.dead'}, #{to => <<>>}, #{to => 7},
            #{max => 0}, #{max => -1}, #{dry_run => 1}, #{timeout => 0}, #{headers => 7}, #{other => 1}
        ]
    ].

a_closed_member_answers_so() ->
    Member = member(),
    {ok, Dead} = primer:queue(Member, 'jobs.dead'),
    ok = primer:close(Member),
    ?assertMatch({error, {member_down, closed, #{number := 501}}}, primer:redrive(Dead)).
