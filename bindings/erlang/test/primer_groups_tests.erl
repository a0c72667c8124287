%% @doc Groups of a queue: each gets every message once, and its consumers share them.
-module(primer_groups_tests).

-include_lib("eunit/include/eunit.hrl").

-import(primer_testing, [each/1, member/0]).

%% Only a failing test waits that long.
-define(LIMIT, 20_000).
-define(WRONG, {error, {wrong_call, invalid_argument, #{number := 101}}}).
-define(WRONG(Option), {error, {wrong_call, invalid_argument, #{number := 101, option := Option}}}).

all_test_() ->
    each([
        fun each_group_gets_each_message_once/0,
        fun subscribers_of_a_group_share_it/0,
        fun who_consumes_in_a_group_creates_it/0,
        fun a_group_has_any_text_as_its_name/0,
        fun a_producer_says_what_becomes_of_a_message_without_a_group/0,
        fun what_is_no_group_is_a_wrong_call/0,
        fun a_closed_member_answers_so/0
    ]).

jobs() ->
    {ok, Queue} = primer:queue(member(), <<"jobs">>),
    Queue.

%% What waits in a group; it is done.
bodies(Queue, Group) ->
    {ok, Deliveries} = primer:'receive'(Queue, #{max => 9, group => Group}),
    {ok, _} = primer:ack_many(Deliveries),
    [Body || #{body := Body} <- Deliveries].

each_group_gets_each_message_once() ->
    Queue = jobs(),
    [ok = primer:create_group(Queue, Group) || Group <- [mailer, audit, audit]],
    ?assertEqual({ok, [<<"audit">>, <<"mailer">>]}, primer:groups(Queue)),
    {ok, _} = primer:enqueue(Queue, <<"one">>),
    {ok, _} = primer:enqueue_many(Queue, [<<"two">>, <<"three">>]),
    ?assertEqual({ok, []}, primer:'receive'(Queue)),
    [?assertEqual([<<"one">>, <<"two">>, <<"three">>], bodies(Queue, Group)) || Group <- [mailer, audit]],
    ?assertEqual([], bodies(Queue, mailer)),
    [ok = primer:remove_group(Queue, audit) || _ <- [once, again]],
    ?assertEqual({ok, [<<"mailer">>]}, primer:groups(Queue)).

subscribers_of_a_group_share_it() ->
    Queue = jobs(),
    [{ok, First}, {ok, Second}] = [primer:subscribe(Queue, #{group => mailer, credit => 1}) || _ <- [1, 2]],
    {ok, _} = primer:enqueue_many(Queue, [<<"one">>, <<"two">>]),
    {ok, #{body := One}} = primer:next(First, ?LIMIT),
    {ok, #{body := Two}} = primer:next(Second, ?LIMIT),
    ?assertEqual([<<"one">>, <<"two">>], lists:sort([One, Two])).

who_consumes_in_a_group_creates_it() ->
    Queue = jobs(),
    {ok, _} = primer:enqueue(Queue, <<"before">>),
    ?assertEqual([], bodies(Queue, <<"new">>)),
    {ok, [#{body := <<"before">>}]} =
        primer:'receive'(Queue, #{group => <<"old">>, backlog => true, wait => ?LIMIT}),
    {ok, Older} = primer:subscribe(Queue, [{group, <<"older">>}, {backlog, true}]),
    {ok, #{body := <<"before">>}} = primer:next(Older, ?LIMIT),
    ok = primer:create_group(Queue, <<"oldest">>, #{backlog => true}),
    {ok, [#{body := <<"before">>}]} = primer:'receive'(Queue, #{group => <<"oldest">>, wait => ?LIMIT}),
    {ok, _} = primer:enqueue(Queue, <<"after">>),
    ?assertEqual([<<"after">>], bodies(Queue, <<"new">>)),
    ?assertEqual({ok, [<<"new">>, <<"old">>, <<"older">>, <<"oldest">>]}, primer:groups(Queue)).

a_group_has_any_text_as_its_name() ->
    Queue = jobs(),
    ok = primer:create_group(Queue, "stra\x{df}e"),
    ok = primer:create_group(Queue, mailer, []),
    {ok, _} = primer:enqueue(Queue, <<"one">>, #{if_no_group => refuse}),
    ?assertEqual([<<"one">>], bodies(Queue, <<"stra\x{df}e"/utf8>>)),
    ?assertEqual([<<"one">>], bodies(Queue, "mailer")).

a_producer_says_what_becomes_of_a_message_without_a_group() ->
    Queue = jobs(),
    {ok, #{copies := 0, wanted := 0}} = primer:enqueue(Queue, <<"x">>, #{if_no_group => drop}),
    {ok, [#{copies := 0, wanted := 0}, #{}]} =
        primer:enqueue_many(Queue, [<<"x">>, <<"y">>], #{if_no_group => drop}),
    {error, {wrong_call, not_found, #{number := 102}}} = primer:enqueue(Queue, <<"x">>, #{if_no_group => refuse}),
    ?assertEqual({ok, []}, primer:'receive'(Queue)),
    {ok, #{copies := 1}} = primer:enqueue(Queue, <<"held">>, [{if_no_group, hold}]),
    {ok, [#{body := <<"held">>}]} = primer:'receive'(Queue).

what_is_no_group_is_a_wrong_call() ->
    Queue = jobs(),
    [
        begin
            ?assertMatch(?WRONG, primer:create_group(Queue, Group)),
            ?assertMatch(?WRONG, primer:'receive'(Queue, #{group => Group})),
            ?assertMatch(?WRONG, primer:subscribe(Queue, #{group => Group}))
        end
     || Group <- [<<>>, '', "", <<255>>, 7, #{}, [a], binary:copy(<<"q">>, 256)]
    ],
    [?assertMatch(?WRONG, primer:remove_group(Queue, Group)) || Group <- [<<255>>, 7, #{}, [a]]],
    ?assertMatch(?WRONG(<<"group">>), primer:'receive'(Queue, #{group => 7})),
    [
        begin
            ?assertMatch(?WRONG(<<"backlog">>), primer:create_group(Queue, mailer, #{backlog => Backlog})),
            ?assertMatch(?WRONG(<<"backlog">>), primer:'receive'(Queue, #{group => mailer, backlog => Backlog})),
            ?assertMatch(?WRONG(<<"backlog">>), primer:subscribe(Queue, #{group => mailer, backlog => Backlog}))
        end
     || Backlog <- [1, yes, <<"true">>]
    ],
    ?assertMatch(?WRONG(<<"colour">>), primer:create_group(Queue, mailer, #{colour => red})),
    ?assertMatch(?WRONG, primer:create_group(Queue, mailer, 7)),
    [
        ?assertMatch(?WRONG(<<"if_no_group">>), primer:enqueue(Queue, <<"x">>, #{if_no_group => Word}))
     || Word <- [perhaps, <<"drop">>, 1]
    ],
    ?assertError(badarg, primer:groups(make_ref())),
    ?assertEqual({ok, []}, primer:groups(Queue)).

a_closed_member_answers_so() ->
    Member = member(),
    {ok, Queue} = primer:queue(Member, <<"jobs">>),
    ok = primer:close(Member),
    [
        ?assertMatch({error, {member_down, closed, #{number := 501}}}, Answer)
     || Answer <- [primer:groups(Queue), primer:create_group(Queue, mailer), primer:remove_group(Queue, mailer)]
    ].
